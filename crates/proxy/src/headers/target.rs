//! The target of a request as a worker is asked for it.

use http::Method;
use http::uri::{PathAndQuery, Uri};

use crate::refusal::Refusal;

/// The target as a worker expects it: a path and a query, or `*`.
pub(super) fn origin_form(method: &Method, uri: Uri) -> Result<Uri, Refusal> {
    let absolute = uri.scheme().is_some();
    let path = uri.into_parts().path_and_query;
    match path {
        Some(path) if path.as_str().starts_with('/') => Ok(Uri::from(path)),
        Some(path) if path == "*" && *method == Method::OPTIONS => Ok(Uri::from(path)),
        // An absolute URI may have a query and no path; shown, it has one.
        Some(path) if absolute && path.as_str().starts_with('?') => {
            PathAndQuery::try_from(path.to_string()).map(Uri::from).map_err(|_| bad_target())
        }
        None if absolute => Ok(Uri::from(PathAndQuery::from_static("/"))),
        _ => Err(bad_target()),
    }
}

fn bad_target() -> Refusal {
    Refusal::bad_request("bad_target", "the request's target is neither a path nor an absolute URI")
}
