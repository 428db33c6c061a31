//! The life of models on disk: the same twice, promoted, rolled back, refused when not themselves.

use std::time::Duration;

use clock::Clock;
use forecast::Series;
use forecast::backtest::Protocol;
use jiff::Timestamp;
use models::{
    FileError, Metric, Recipe, Stage, Store, StoreError, Trained, csv_header, evaluate, on_grid, train,
};

fn series(seed: u64) -> Series {
    let value = |index: u64| {
        let mixed = (index + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let noise = ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / 16_777_216.0;
        50.0 + 30.0 * (index as f64 / 48.0 * std::f64::consts::TAU).sin() + 4.0 * noise
    };
    Series::new(Timestamp::UNIX_EPOCH, Duration::from_secs(1_800), (0..500).map(value).collect())
        .expect("a grid")
}

fn trained(seed: u64) -> Trained {
    train(&Recipe::of("autoregressive"), &series(seed)).expect("enough to learn from")
}

#[test]
fn training_twice_gives_equal_bytes_and_names() {
    for model in ["autoregressive", "random_forest", "ensemble"] {
        let recipe = Recipe { iterations: 10, ..Recipe::of(model) };
        let one = train(&recipe, &series(1)).unwrap();
        let two = train(&recipe, &series(1)).unwrap();
        assert_eq!(one.id, two.id, "{model}");
        assert!(one.file.to_bytes() == two.file.to_bytes(), "{model}: bytes differ");
        let other = Recipe { seed: 1, ..recipe };
        assert_ne!(train(&other, &series(1)).unwrap().id, one.id, "{model}: another seed, another name");
        assert_ne!(train(&other, &series(2)).unwrap().id, train(&other, &series(1)).unwrap().id, "{model}");
    }
}

#[test]
fn stages_lead_to_one_champion_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let (first, second) = (trained(1), trained(2));
    assert_eq!(store.add(now, "web", &first).unwrap().stage, Stage::Candidate);
    store.add(now, "web", &first).unwrap();
    assert_eq!(store.list().unwrap().len(), 1, "stored twice, kept once");
    assert!(matches!(store.rollback(now, "web", "x"), Err(StoreError::NoEarlier(_))));
    assert_eq!(store.promote(now, &first.id, "looks fine").unwrap(), Stage::Shadow);
    assert_eq!(store.promote(now, &first.id, "earned it").unwrap(), Stage::Champion);
    assert!(matches!(store.promote(now, &first.id, "again"), Err(StoreError::Stage { .. })));
    let added = store.add(now, "web", &second).unwrap();
    assert_eq!(added.parent.as_deref(), Some(first.id.as_str()));
    store.promote(now, &second.id, "shadow").unwrap();
    store.promote(now, &second.id, "better").unwrap();
    assert_eq!(store.champion("web").unwrap().unwrap().id, second.id);
    assert_eq!(store.find(first.id.as_str()).unwrap().stage, Stage::Retired);
    // Reopened, it remembers; then the older one comes back.
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(store.rollback(now, "web", "worse after all").unwrap().id, first.id);
    assert_eq!(store.find(second.id.as_str()).unwrap().stage, Stage::Retired);
    assert_eq!(store.changes("web").unwrap()[0].because, "worse after all");
    let metric = Metric { horizon: 5, name: "relative_mae".to_owned(), value: 0.7 };
    store.score(&first.id, std::slice::from_ref(&metric)).unwrap();
    assert_eq!(store.scores(&first.id).unwrap(), [metric]);
    assert!(matches!(store.find("zz' OR 1"), Err(StoreError::Unknown(_))));
    assert_eq!(store.find(&first.id.to_string()).unwrap().id, first.id, "twelve digits will do");
}

#[test]
fn a_model_read_back_forecasts_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let trained = trained(3);
    store.add(Timestamp::UNIX_EPOCH, "web", &trained).unwrap();
    let (_, model) = store.load(&trained.id).unwrap();
    let fresh = trained.file.restore().unwrap();
    let said = model.predict(&[1, 5], &[0.5, 0.9]);
    assert!(said.is_some());
    assert_eq!(said, fresh.predict(&[1, 5], &[0.5, 0.9]));
}

#[test]
fn what_is_not_itself_is_refused_and_never_promoted() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let (one, two) = (trained(1), trained(2));
    store.add(Timestamp::UNIX_EPOCH, "web", &one).unwrap();
    store.add(Timestamp::UNIX_EPOCH, "web", &two).unwrap();
    let path = folder.path().join("models").join(format!("{}.model", one.id.as_str()));
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[200] ^= 1;
    type Expected = fn(&FileError) -> bool;
    let rows: [(Vec<u8>, Expected); 5] = [
        (flipped, |error| matches!(error, FileError::Corrupt(_))),
        (whole[..whole.len() - 7].to_vec(), |error| matches!(error, FileError::Corrupt(_))),
        (whole[..10].to_vec(), |error| matches!(error, FileError::Corrupt(_))),
        (b"SQLite format 3\0".to_vec(), |error| *error == FileError::Foreign),
        (two.file.to_bytes().unwrap(), |error| matches!(error, FileError::Misnamed { .. })),
    ];
    for (bytes, expected) in rows {
        std::fs::write(&path, bytes).unwrap();
        let Err(StoreError::File { because, .. }) = store.load(&one.id) else { panic!("it was believed") };
        assert!(expected(&because), "{because}");
        assert!(store.promote(Timestamp::UNIX_EPOCH, &one.id, "no").is_err());
    }
    let mut old = one.file.clone();
    old.code_version = "0.0.1".to_owned();
    let refused = models::ModelFile::from_bytes(&old.to_bytes().unwrap());
    assert!(matches!(refused, Err(FileError::OtherCode { .. })), "{refused:?}");
}

#[test]
fn another_programs_database_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.sqlite"), b"this is no database, it is a text file").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Foreign(_))));
}

#[test]
fn an_evaluation_is_a_table_that_others_can_read() {
    let short = on_grid(&series(1), None);
    assert_eq!(short.step(), Duration::from_secs(1_800), "long steps stay");
    let second = Series::new(Timestamp::UNIX_EPOCH, Duration::from_secs(4), vec![1.0; 40]).unwrap();
    assert_eq!(on_grid(&second, None).step(), Duration::from_secs(16));
    let recipe = Recipe::of("naive");
    let done = evaluate(&Clock::start(), "wave", &recipe, &short, &Protocol::default()).unwrap();
    let csv = done.csv();
    assert_eq!(csv.lines().count(), 120, "40 origins, 3 horizons");
    let columns = csv_header().trim().split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == columns));
    assert!(csv.starts_with("wave,naive,630000,1,"), "{csv}");
    assert!((done.summary.horizons[0].relative_mae - 1.0).abs() < 1e-9);
    assert!(done.table().contains("relMAE"));
}

#[test]
fn recipes_that_make_no_sense_are_refused() {
    let refused = |recipe: Recipe| train(&recipe, &series(1)).is_err();
    assert!(refused(Recipe::of("crystal_ball")));
    assert!(refused(Recipe { horizons: vec![5, 1], ..Recipe::of("naive") }));
    assert!(refused(Recipe { horizons: vec![0], ..Recipe::of("naive") }));
    assert!(refused(Recipe { time_zone: "Middle/Earth".to_owned(), ..Recipe::of("naive") }));
    assert!(refused(Recipe { seasons_seconds: vec![0, 5], ..Recipe::of("naive") }));
    assert!(refused(Recipe { iterations: 0, ..Recipe::of("naive") }));
}

/// A load that never changes is forecast by the naive model without an error: there is no ratio.
#[test]
fn where_the_naive_forecast_makes_no_error_the_table_shows_dashes() {
    let steady = Series::new(Timestamp::UNIX_EPOCH, Duration::from_secs(60), vec![7.0; 500]).unwrap();
    let found =
        evaluate(&Clock::start(), "steady", &Recipe::of("naive"), &steady, &Protocol::default()).unwrap();
    let table = found.table();
    assert!(table.contains("1     40      –"), "{table}");
    assert!(!table.contains("NaN") && !table.contains("inf") && !table.contains("wins"), "{table}");
}
