//! Single requests, as any client sends them.

use std::sync::LazyLock;

use super::DEADLINE;

/// An answer, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The worker that answered, as in `x-worker`.
    pub(crate) worker: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: String,
}

thread_local! {
    /// Connections belong to the runtime that opened them, and each test has its own.
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap()
    });
}

/// `GET`; an error is no answer, or half of one.
pub(crate) async fn get(url: &str) -> Result<Answer, String> {
    let request = CLIENT.with(|client| client.get(url));
    answer(request).await
}

/// `POST` without a body.
pub(crate) async fn post(url: &str) -> Result<Answer, String> {
    let request = CLIENT.with(|client| client.post(url));
    answer(request).await
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, String> {
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let header = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
    let (worker, retry_after) = (header("x-worker"), header("retry-after"));
    let status = answer.status().as_u16();
    let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
    Ok(Answer { status, worker, retry_after, body })
}
