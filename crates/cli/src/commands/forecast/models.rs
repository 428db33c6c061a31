//! `autoscale forecast models`: what is kept, who decides, and how it came to that.

use ::models::{Stage, Store, StoreError, Stored, duel};
use clock::Clock;
use serde_json::{Value, json};

use super::store;
use crate::args::{Form, ModelsArgs, ModelsCommand, PromoteArgs, SeriesArgs};
use crate::failure::{FAILED, INVALID, NOT_FOUND, coded};
use crate::output;

/// Runs the command.
pub(super) fn run(args: &ModelsArgs) -> anyhow::Result<()> {
    if let Some(ModelsCommand::Kinds) = args.command {
        return kinds(args.output);
    }
    let now = Clock::start().now();
    let mut store = store(args.store.as_ref())?;
    match args.command.as_ref().unwrap_or(&ModelsCommand::List) {
        ModelsCommand::List | ModelsCommand::Kinds => list(&store, args.output),
        ModelsCommand::Show { id } => show(&store, id, args.output),
        ModelsCommand::History { subject } => history(&store, subject, args.output),
        ModelsCommand::Promote(args) => {
            let model = store.find(&args.change.id).map_err(refused)?;
            let because = because(&store, &model, args)?;
            let stage = store.promote(now, &model.id, &because).map_err(refused)?;
            said(&format!("{} is {stage}: {because}", model.id))
        }
        ModelsCommand::Rollback { subject, because } => {
            let back = store.rollback(now, subject, because).map_err(refused)?;
            said(&format!("{} decides for {subject} again", back.id))
        }
        ModelsCommand::Retire(change) => {
            let id = store.find(&change.id).map_err(refused)?.id;
            store.retire(now, &id, &change.because).map_err(refused)?;
            said(&format!("{id} is retired"))
        }
    }
}

/// Why it is promoted: whoever takes the place of a champion must have proven itself.
fn because(store: &Store, model: &Stored, args: &PromoteArgs) -> anyhow::Result<String> {
    let because = args.change.because.clone();
    let champion = store.champion(&model.subject).map_err(refused)?;
    let Some(champion) = champion.filter(|_| model.stage.next() == Some(Stage::Champion)) else {
        return Ok(because);
    };
    if args.force {
        return Ok(format!("{because}, without proof"));
    }
    let prove = "name readings that neither knows with --on TRACE, or say --force";
    let Some(path) = &args.on else {
        let error = anyhow::anyhow!("{} decides for {}: proof is needed", champion.id, model.subject);
        return Err(coded(error, prove, INVALID));
    };
    let (file, mut challenger) = store.load(&model.id).map_err(refused)?;
    let (_, mut before) = store.load(&champion.id).map_err(refused)?;
    let grid = SeriesArgs { bin: Some(file.settings.step), ..SeriesArgs::default() };
    let (_, series) = super::read(path, &grid)?;
    let found = duel(challenger.as_mut(), before.as_mut(), &series, args.ahead.max(1));
    if found.challenger_wins() {
        return Ok(format!("{because}: {found}"));
    }
    let error = anyhow::anyhow!("{} is not proven to be better than {}: {found}", model.id, champion.id);
    Err(coded(error, "at least 200 forecasts, p below 0.05 and no higher cost; or say --force", FAILED))
}

fn said(text: &str) -> anyhow::Result<()> {
    output::line(text);
    Ok(())
}

fn refused(error: StoreError) -> anyhow::Error {
    let code = match error {
        StoreError::Unknown(_) | StoreError::NoEarlier(_) => NOT_FOUND,
        _ => FAILED,
    };
    coded(error.into(), "`autoscale forecast models` lists what is kept", code)
}

fn kinds(how: Form) -> anyhow::Result<()> {
    if how == Form::Json {
        let rows = ::models::entries().map(|entry| json!({"name": entry.name, "about": entry.about}));
        return output::value(&rows.collect::<Vec<_>>(), false);
    }
    for entry in ::models::entries() {
        output::line(&format!("{:18} {}", entry.name, entry.about));
    }
    Ok(())
}

fn row(model: &Stored) -> Value {
    json!({
        "id": model.id.as_str(),
        "subject": model.subject,
        "model": model.recipe.model,
        "stage": model.stage.to_string(),
        "stored_at": model.stored_at,
        "bytes": model.bytes,
        "parent": model.parent,
    })
}

fn list(store: &Store, how: Form) -> anyhow::Result<()> {
    let all = store.list().map_err(refused)?;
    if how == Form::Json {
        return output::value(&all.iter().map(row).collect::<Vec<_>>(), false);
    }
    if all.is_empty() {
        return said("no models yet: `autoscale forecast train` makes one");
    }
    output::line(&format!(
        "{:12}  {:9}  {:18}  {:24}  {:>9}  stored",
        "model", "stage", "kind", "subject", "bytes"
    ));
    for model in all {
        output::line(&format!(
            "{:12}  {:9}  {:18}  {:24}  {:>9}  {:.0}",
            model.id.to_string(),
            model.stage.to_string(),
            model.recipe.model,
            model.subject,
            model.bytes,
            model.stored_at
        ));
    }
    Ok(())
}

fn show(store: &Store, id: &str, how: Form) -> anyhow::Result<()> {
    let model = store.find(id).map_err(refused)?;
    let scores = store.scores(&model.id).map_err(refused)?;
    if how == Form::Json {
        let mut shown = row(&model);
        shown["recipe"] = serde_json::to_value(&model.recipe)?;
        let score =
            |one: &::models::Metric| json!({"horizon": one.horizon, "name": one.name, "value": one.value});
        shown["scores"] = scores.iter().map(score).collect();
        return output::value(&shown, false);
    }
    output::line(&format!("model     {}", model.id.as_str()));
    output::line(&format!("kind      {}, {} for {}", model.recipe.model, model.stage, model.subject));
    output::line(&format!("recipe    {}", serde_json::to_string(&model.recipe)?));
    for score in scores {
        output::line(&format!("  {:>3} ahead  {:18} {:.3}", score.horizon, score.name, score.value));
    }
    Ok(())
}

fn history(store: &Store, subject: &str, how: Form) -> anyhow::Result<()> {
    let changes = store.changes(subject).map_err(refused)?;
    if how == Form::Json {
        let change = |one: &::models::Change| {
            json!({
                "at": one.at, "id": one.id.as_str(), "from": one.from.map(|stage| stage.to_string()),
                "to": one.to.to_string(), "because": one.because,
            })
        };
        return output::value(&changes.iter().map(change).collect::<Vec<_>>(), false);
    }
    for one in changes {
        let from = one.from.map_or("new".to_owned(), |stage| stage.to_string());
        output::line(&format!("{:.0}  {}  {from} → {}: {}", one.at, one.id, one.to, one.because));
    }
    Ok(())
}
