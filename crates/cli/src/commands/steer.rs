//! Commands that steer a running pool: `scale pause boost resume drain kill protect stop`.

use admin::{Accepted, Length, PauseOrder};
use control::ScaleTo;

use super::reach::{connect, failed};
use crate::args::{BoostArgs, PauseArgs, ProtectArgs, ScaleArgs, SteerArgs, WorkerIdArgs};
use crate::failure::Hint;
use crate::output;

/// `autoscale scale`.
pub(crate) async fn scale(args: &ScaleArgs) -> anyhow::Result<()> {
    let to = number(&args.replicas)?;
    said(&connect(&args.pool)?.scale(to, Some(args.hold)).await.map_err(failed)?);
    Ok(())
}

/// `autoscale pause`.
pub(crate) async fn pause(args: &PauseArgs) -> anyhow::Result<()> {
    let order = PauseOrder {
        length: args.length.map(Length),
        scale_in_only: args.scale_in_only,
        at: args.at,
        ..PauseOrder::default()
    };
    said(&connect(&args.pool)?.pause(order).await.map_err(failed)?);
    Ok(())
}

/// `autoscale boost`.
pub(crate) async fn boost(args: &BoostArgs) -> anyhow::Result<()> {
    said(&connect(&args.pool)?.boost(args.min, args.length).await.map_err(failed)?);
    Ok(())
}

/// `autoscale resume`.
pub(crate) async fn resume(args: &SteerArgs) -> anyhow::Result<()> {
    said(&connect(args)?.resume().await.map_err(failed)?);
    Ok(())
}

/// `autoscale drain`.
pub(crate) async fn drain(args: &WorkerIdArgs) -> anyhow::Result<()> {
    said(&connect(&args.pool)?.drain(&args.id).await.map_err(failed)?);
    Ok(())
}

/// `autoscale kill`.
pub(crate) async fn kill(args: &WorkerIdArgs) -> anyhow::Result<()> {
    said(&connect(&args.pool)?.kill(&args.id).await.map_err(failed)?);
    Ok(())
}

/// `autoscale protect`.
pub(crate) async fn protect(args: &ProtectArgs) -> anyhow::Result<()> {
    said(&connect(&args.pool)?.protect(&args.id, !args.off).await.map_err(failed)?);
    Ok(())
}

/// `autoscale stop`.
pub(crate) async fn stop(args: &SteerArgs) -> anyhow::Result<()> {
    said(&connect(args)?.stop().await.map_err(failed)?);
    Ok(())
}

/// `autoscale upgrade`.
pub(crate) async fn upgrade(args: &SteerArgs) -> anyhow::Result<()> {
    said(&connect(args)?.upgrade().await.map_err(failed)?);
    Ok(())
}

fn said(accepted: &Accepted) {
    output::line(&accepted.text);
}

/// `3`, `+1`, `-1` or `max`.
fn number(text: &str) -> anyhow::Result<ScaleTo> {
    let parsed = match text {
        "max" => Some(ScaleTo::Max),
        _ if text.starts_with(['+', '-']) => text.parse().ok().map(ScaleTo::By),
        _ => text.parse().ok().map(ScaleTo::Exactly),
    };
    parsed.ok_or_else(|| anyhow::anyhow!("`{text}` is no number of workers")).hint("try 3, +1, -1 or max")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_workers() {
        assert_eq!(number("3").unwrap(), ScaleTo::Exactly(3));
        assert_eq!(number("+2").unwrap(), ScaleTo::By(2));
        assert_eq!(number("-1").unwrap(), ScaleTo::By(-1));
        assert_eq!(number("max").unwrap(), ScaleTo::Max);
        for bad in ["", "x", "1.5", "+", "99999999999"] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }
}
