//! Each file of `scenarios/` is a test: its whole story is compared with the text beside it.
//! `autoscale simulate --scenario NAME.toml > NAME.snap` writes that anew.

use simulator::scenario::file::ScenarioFile;
use simulator::story;

fn assert_told(name: &str, file: &str, expected: &str) {
    let file: ScenarioFile = toml::from_str(file).expect("a scenario file");
    let told = story::tell(name, &file).expect("the scenario can be run");
    for (line, (told, expected)) in told.lines().zip(expected.lines()).enumerate() {
        assert_eq!(told, expected, "{name}.snap, line {}", line + 1);
    }
    assert_eq!(told.lines().count(), expected.lines().count(), "{name}.snap");
}

/// One test a file.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            assert_told(
                stringify!($name),
                include_str!(concat!("scenarios/", stringify!($name), ".toml")),
                include_str!(concat!("scenarios/", stringify!($name), ".snap")),
            );
        }
    )*};
}

scenarios!(
    flash_crowd,
    daily_wave,
    crash_loop,
    metrics_gap,
    metrics_outage,
    region_loss,
    interruptible,
    cpu_credits,
);
