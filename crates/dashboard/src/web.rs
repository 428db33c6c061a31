//! The web page: one self-contained document that follows the admin API, without libraries and
//! without anything from elsewhere.
//!
//! It reads `/api/v1/cycles` and `/api/v1/cycles/stream` and steers with the `POST` paths beside
//! them, all relative to where it was loaded from.

/// The page for `/`, as `text/html; charset=utf-8`.
pub const PAGE: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    "<title>autoscale</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n",
    include_str!("web/palette.css"),
    include_str!("web/style.css"),
    "</style>\n</head>\n<body>\n",
    include_str!("web/index.html"),
    "<script>\n\"use strict\";\n",
    include_str!("web/view.js"),
    include_str!("web/charts.js"),
    include_str!("web/outlook.js"),
    include_str!("web/app.js"),
    "</script>\n</body>\n</html>\n",
);

/// The header `Content-Security-Policy` that the page works under: nothing from elsewhere, and
/// requests only to its own server. Its script and style stand in the page itself.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_nothing_from_elsewhere() {
        for foreign in ["src=\"", "@import", "url(http", "https://", "//cdn"] {
            assert!(!PAGE.contains(foreign), "the page has `{foreign}`");
        }
        // The one address in it is the name of a vocabulary, which nobody fetches.
        assert_eq!(PAGE.matches("http://").count() - PAGE.matches("`http://").count(), 1);
    }

    #[test]
    fn text_never_becomes_markup_or_code() {
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
            assert!(!PAGE.contains(way), "the page has `{way}`");
        }
        for inline in [" onclick=", " onload=", " onerror=", "javascript:"] {
            assert!(!PAGE.contains(inline), "the page has `{inline}`");
        }
        assert_eq!(PAGE.matches("</script").count(), 1, "the script ends where it should");
    }

    #[test]
    fn every_element_that_the_script_wants_is_there() {
        let wanted = |start: &str| {
            PAGE.split(start).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>()
        };
        let ids = wanted(" id=\"");
        for id in wanted("at(\"").into_iter().chain(wanted("put(\"")) {
            assert!(ids.contains(&id), "there is no element `{id}`");
        }
    }
}
