//! Who may ask, and how often.

use http::StatusCode;
use jiff::Timestamp;

use crate::downstream::Client;
use crate::fields::FieldLines;
use crate::refusal::Refusal;
use crate::serve::Thread;

/// Refuses those who are not on the list, and those who ask too often.
pub(super) fn admit(
    thread: &Thread,
    client: &Client,
    fields: &FieldLines,
    at: Timestamp,
) -> Result<(), Refusal> {
    if !thread.config().allows(client.ip) {
        let text = format!("{} may not ask here", client.ip);
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_allowed", text));
    }
    let settings = thread.config();
    let Some(rates) = &settings.rates else { return Ok(()) };
    // Behind a trusted proxy, whoever it names last is who asks.
    let named = || {
        let list = fields.get_all("x-forwarded-for").last()?;
        std::str::from_utf8(list).ok()?.rsplit(',').next()?.trim().parse().ok()
    };
    let who = client.is_trusted.then(named).flatten().unwrap_or(client.ip);
    rates.lock().take(who, at).map_err(|wait| {
        let text = format!("{who} asks too often; the next request is welcome in {wait:.1?}");
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", text)
    })
}
