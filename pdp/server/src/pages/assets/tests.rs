//! The table of assets: what is in it is served with its type, and nothing else is.

use axum::http::{StatusCode, header};

use super::{ASSETS, asset};

#[test]
fn each_asset_has_its_type_and_may_be_kept_for_an_hour() {
    for (name, content_type, content) in ASSETS {
        let response = asset(name);
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], content_type, "{name}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=3600", "{name}");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{name}");
        assert!(!content.is_empty(), "{name}");
    }
}

#[test]
fn no_other_name_is_served() {
    for name in ["", "/", ".", "..", "../Cargo.toml", "step-up.js/", "STEP-UP.JS", "step-up.js%00", "./step-up.js", "step-up"] {
        let response = asset(name);
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{name}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{name}");
    }
}

#[test]
fn scripts_are_whole_and_make_no_code_of_text() {
    for (name, _, content) in ASSETS.iter().filter(|(name, ..)| name.ends_with(".js")) {
        assert!(content.starts_with("// Countersign: built from sdk/browser"), "{name} is not what sdk/browser builds");
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "javascript:",
            "localStorage",
            "import(",
            " from\"",
            "from \"",
            "http://",
            "https://",
        ] {
            assert!(!content.contains(sink), "{name} contains {sink}");
        }
    }
}
