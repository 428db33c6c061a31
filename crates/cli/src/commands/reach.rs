//! Reaching a running pool, and what to say if that fails.

use admin::{Client, ClientError};

use crate::args::SteerArgs;
use crate::failure::{FAILED, NOT_FOUND, USAGE, coded};

/// How orders from the command line are named in the record.
const BY: &str = "command line";

/// A client for the pool that the arguments name.
pub(crate) fn connect(args: &SteerArgs) -> anyhow::Result<Client> {
    Client::new(&args.admin, args.admin_token.clone(), BY).map_err(failed)
}

/// The error with its hint and exit code.
pub(crate) fn failed(error: ClientError) -> anyhow::Error {
    let code = match &error {
        ClientError::BadUrl(_) | ClientError::Refused { status: 401 | 403, .. } => USAGE,
        ClientError::NotFound { .. } => NOT_FOUND,
        _ => FAILED,
    };
    let advice = error.hint().unwrap_or("`autoscale status` shows whether the pool still runs").to_owned();
    coded(error.into(), advice, code)
}
