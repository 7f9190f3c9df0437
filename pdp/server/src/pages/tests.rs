//! What every page has in common: both languages, escaped values, the headers, and nothing inline for a policy to forbid.

use std::path::Path;

use axum::http::header;
use http_body_util::BodyExt as _;

use super::*;

const LANGUAGES: [Language; 2] = [Language::English, Language::Chinese];
const HOSTILE: &str = "\"'><script>alert(1)</script>&";

/// Each page in each form, with the values that it shows.
fn every(language: Language, value: &str) -> Vec<(String, Response)> {
    let step_up = StepUp { language, host: value, ceremony: value, expires_in: Duration::from_secs(300) };
    let mut all = vec![
        ("step-up".to_owned(), step_up.into_response()),
        ("enroll".to_owned(), Enroll { language, ticket: None }.into_response()),
        ("enroll-ticket".to_owned(), Enroll { language, ticket: Some(value) }.into_response()),
        ("browser".to_owned(), Browser { language, device: value, subject: Some(value), enroll: true }.into_response()),
        ("browser-unknown".to_owned(), Browser { language, device: value, subject: None, enroll: false }.into_response()),
        ("home".to_owned(), Home { language }.into_response()),
    ];
    for trouble in Trouble::ALL {
        for (site, name) in [(Site::Auth, "auth"), (Site::Protected, "protected")] {
            let problem = Problem { language, site, trouble };
            all.push((format!("problem-{name}-{}", trouble.code()), problem.into_response()));
        }
    }
    all
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[test]
fn every_page_carries_every_header() {
    let expected = [
        ("content-type", "text/html; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("permissions-policy", "publickey-credentials-get=(self), publickey-credentials-create=(self)"),
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'none'; \
             base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        ),
    ];
    for language in LANGUAGES {
        for (page, response) in every(language, "pay.example") {
            for (name, value) in expected {
                assert_eq!(response.headers()[name], value, "{page}: {name}");
            }
            assert_eq!(response.headers()[header::CONTENT_LANGUAGE], language.tag(), "{page}");
        }
    }
}

#[tokio::test]
async fn every_page_speaks_one_language() {
    for (page, response) in every(Language::English, "pay.example") {
        let text = text(response).await;
        assert!(text.contains("<html lang=\"en\">"), "{page}");
        let chinese = text.chars().find(|character| ('\u{4e00}'..='\u{9fff}').contains(character));
        assert_eq!(chinese, None, "{page}");
    }
    for (page, response) in every(Language::Chinese, "pay.example") {
        let text = text(response).await;
        assert!(text.contains("<html lang=\"zh-Hans\">"), "{page}");
        for english in [" the ", " your ", " passkey"] {
            assert!(!text.contains(english), "{page} says{english}in Chinese");
        }
    }
}

#[tokio::test]
async fn values_are_text() {
    for (page, response) in every(Language::English, HOSTILE) {
        let text = text(response).await;
        assert!(!text.contains("<script>") && !text.contains("\"'>"), "{page}: {text}");
        let shows_it = !page.starts_with("problem") && page != "home" && page != "enroll";
        assert_eq!(text.contains("&#60;script&#62;"), shows_it, "{page}: {text}");
    }
}

#[tokio::test]
async fn nothing_is_inline() {
    for language in LANGUAGES {
        for (page, response) in every(language, "pay.example") {
            nothing_inline(&page, &text(response).await);
        }
    }
}

#[test]
fn nothing_is_inline_in_the_templates() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    // What no browser gets from here, such as reports for people's own files, lies in folders of its own.
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let read: Vec<_> = files.map(|path| nothing_inline(&path.display().to_string(), &std::fs::read_to_string(path).unwrap())).collect();
    assert_eq!(read.len(), 7);
}

#[track_caller]
fn nothing_inline(name: &str, text: &str) {
    assert!(!text.contains("javascript:") && !text.contains("<style") && !text.contains("|safe"), "{name}");
    for script in text.split("<script").skip(1) {
        let tag = script.split("</script>").next().unwrap();
        assert!(tag.starts_with(" type=\"module\" src=\"") && tag.ends_with('>'), "{name}: script {tag}");
    }
    for tag in text.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        for attribute in tag.split_ascii_whitespace().skip(1).filter_map(|word| word.split_once('=')).map(|(name, _)| name) {
            assert!(!attribute.starts_with("on") && attribute != "style" && attribute != "srcdoc", "{name}: attribute {attribute}");
        }
    }
}

#[tokio::test]
async fn every_asset_that_a_page_names_is_served() {
    for (page, response) in every(Language::English, "pay.example") {
        let text = text(response).await;
        let protected = page.starts_with("browser") || page.starts_with("problem-protected");
        let prefix = if protected { "=\"/.countersign/assets/" } else { "=\"/assets/" };
        let named: Vec<_> = text.split(prefix).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(named.contains(&"countersign.css") && named.contains(&"mark.svg"), "{page}: {named:?}");
        assert_eq!(text.matches("/assets/").count(), named.len(), "{page} names assets of the other site");
        for name in named {
            assert_eq!(asset(name).status(), 200, "{page}: {name}");
        }
    }
}

#[tokio::test]
async fn pages_of_a_script_have_its_parts_and_every_message() {
    let own = ["working", "checking", "cancelled", "known", "unsupported", "offline", "attempts_left"];
    for (page, response) in every(Language::English, "pay.example").into_iter().take(3) {
        let text = text(response).await;
        for part in ["start", "status", "messages"] {
            assert_eq!(text.matches(&format!(" id=\"{part}\"")).count(), 1, "{page}: {part}");
        }
        for code in own.into_iter().chain(Trouble::ALL.map(Trouble::code)) {
            assert_eq!(text.matches(&format!("<p data-code=\"{code}\"")).count(), 1, "{page}: {code}");
        }
        assert!(text.contains("aria-live=\"polite\""), "{page}");
    }
}

#[tokio::test]
async fn only_a_person_without_a_ticket_types_a_code() {
    assert!(text(Enroll { language: Language::English, ticket: None }.into_response()).await.contains("id=\"code\""));
    let ticketed = text(Enroll { language: Language::English, ticket: Some("t1") }.into_response()).await;
    assert!(!ticketed.contains("id=\"code\"") && ticketed.contains("data-ticket=\"t1\""));
}

#[tokio::test]
async fn the_step_up_page_warns_who_did_not_ask() {
    let page = StepUp { language: Language::English, host: "pay.example", ceremony: "c1", expires_in: Duration::from_secs(300) };
    let text = text(page.into_response()).await;
    assert!(text.contains("data-ceremony=\"c1\" data-expires-in=\"300\""));
    assert!(text.contains("close this page: somebody may be using your session"));
    assert_eq!(text.matches("pay.example").count(), 2);
}

#[test]
fn problems_have_their_status() {
    let problem = Problem { language: Language::English, site: Site::Auth, trouble: Trouble::Used };
    assert_eq!(problem.into_response().status(), StatusCode::GONE);
}

#[test]
fn time_left_is_never_rounded_up() {
    for (seconds, english, chinese) in
        [(1, "1 second", "1 秒"), (59, "59 seconds", "59 秒"), (119, "1 minute", "1 分钟"), (300, "5 minutes", "5 分钟")]
    {
        for (language, expected) in [(Language::English, english), (Language::Chinese, chinese)] {
            let page = StepUp { language, host: "h", ceremony: "c", expires_in: Duration::from_secs(seconds) };
            assert_eq!(page.time_left(), expected);
        }
    }
}
