//! The main story, with the real nginx and the real Chromium: a stolen token meets a passkey, and every way around it is refused.

use countersign_tests::browser::Driver;
use countersign_tests::stage::{FROM, PARIS, SINGAPORE, Stage};
use serde_json::{Value, json};

use crate::visitor::Visitor;

fn no_of(stage: &Stage) -> usize {
    stage.app.served()
}

#[test]
fn a_stolen_token_meets_a_passkey() {
    let stage = Stage::set();
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start(folder.path());
    let token = stage.issuer.token("alice", &json!({"sid": "alices-login"}));

    // The owner, at home: enrols a passkey with the operator's code, and works.
    let owner = Visitor::new(&stage, &driver, PARIS, &token);
    let _authenticator = owner.browser.add_authenticator();
    owner.enroll("alice");
    owner.visit("/payroll");
    owner.reaches("/payroll");

    // The thief holds the valid token, in Singapore, at an hour that is not alice's, without her passkey.
    let before = no_of(&stage);
    let thief = Visitor::new(&stage, &driver, SINGAPORE, &token);
    let _empty = thief.browser.add_authenticator();
    thief.visit("/payroll");
    thief.is_asked();
    thief.browser.click("button");
    thief.browser.wait_until("told that it did not work", |browser| !browser.live_text().is_empty());
    thief.visit("/payroll");
    thief.is_asked();

    // He forwards the page of the auth origin to the owner, who touches the key: nothing comes of it, for either.
    let link = thief.browser.url();
    owner.browser.open(&link);
    owner.browser.wait_until("refused", |_| owner.is_on("payroll", "/.countersign/return"));
    thief.visit("/payroll");
    thief.is_asked();

    // He forwards the link of the protected host, as the proxy gave it to him: the owner's browser is elevated, not his.
    let sent = stage.send(
        "GET",
        "payroll",
        "/payroll",
        &[("cookie", &format!("access_token={token}")), ("accept", "text/html"), (FROM, SINGAPORE)],
        None,
    );
    let link = sent.header("location").unwrap_or_else(|| panic!("{sent:?}")).to_owned();
    assert!(link.starts_with(&stage.url("payroll", "/.countersign/step-up?d=")), "{link}");
    assert_eq!(no_of(&stage), before, "nothing of the thief's reached the application");
    owner.browser.open(&link);
    owner.reaches("/payroll");
    let before = no_of(&stage);
    thief.visit("/payroll");
    thief.is_asked();

    // The owner travels to Singapore: asked once, passes with the passkey, and is not asked again.
    let traveller = Visitor::new(&stage, &driver, SINGAPORE, &token);
    let _authenticator = traveller.browser.add_authenticator();
    traveller.enroll("alice");
    traveller.visit("/payroll?month=3");
    traveller.reaches("/payroll?month=3");
    traveller.visit("/other");
    traveller.reaches("/other");
    assert!(no_of(&stage) > before);

    // The same stolen token goes on after the owner's step-up, and a stolen one that says `acr=phr`.
    let before = no_of(&stage);
    thief.visit("/payroll");
    thief.is_asked();
    let boasting = stage.issuer.token("alice", &json!({"acr": "phr", "amr": ["hwk"], "auth_time": countersign_tests::stage::now().secs()}));
    let boaster = Visitor::new(&stage, &driver, SINGAPORE, &boasting);
    boaster.visit("/payroll");
    boaster.is_asked();
    assert_eq!(no_of(&stage), before, "nothing of the thief's reached the application");

    let metrics = countersign_tests::http::send("GET", &format!("http://127.0.0.1:{}/metrics", stage.operations), &[], None).body;
    for series in
        ["stage=\"begun\",outcome=\"succeeded\"", "stage=\"redeemed\",outcome=\"succeeded\"", "stage=\"redeemed\",outcome=\"failed\""]
    {
        assert!(metrics.contains(series), "`{series}` is not in:\n{metrics}");
    }

    // The operator sees why.
    let denied = stage.send("GET", "payroll", "/payroll", &[("authorization", &format!("Bearer {token}")), (FROM, SINGAPORE)], None);
    assert_eq!(denied.status, 401, "{denied:?}");
    assert!(denied.header("www-authenticate").unwrap().contains("insufficient_user_authentication"), "{denied:?}");
    assert_eq!(denied.header("location"), None, "an API client is not redirected");
}

#[test]
fn two_hosts_share_one_auth_origin() {
    let stage = Stage::set();
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start(folder.path());
    let token = stage.issuer.token("alice", &json!({}));
    let traveller = Visitor::new(&stage, &driver, SINGAPORE, &token);
    let _authenticator = traveller.browser.add_authenticator();
    traveller.enroll("alice");
    traveller.visit("/payroll");
    traveller.reaches("/payroll");

    // An application that knows only its own session cookie, on another host: login, link, step-up with the same passkey.
    let wiki = stage.url("wiki", "/page?x=1");
    traveller.browser.open(&stage.url("wiki", "/.countersign/"));
    let sent = stage.send("GET", "wiki", "/page?x=1", &[("accept", "text/html")], None);
    let back = format!("http://login.localhost/in?app=wiki&return=http%3A%2F%2Fwiki%2Elocalhost%3A{}%2Fpage%3Fx%3D1", stage.port);
    assert_eq!((sent.status, sent.header("location")), (302, Some(back.as_str())), "{sent:?}");
    let cookie = "0123456789abcdef0123";
    let link = json!({"origin": format!("http://wiki.localhost:{}", stage.port), "cookie": cookie, "token": token});
    let url = format!("http://127.0.0.1:{}/countersign/v1/sessions", stage.decision);
    let linked = countersign_tests::http::send("PUT", &url, &[("x-countersign-pep", "wiki:nginx-secret-for-this-test")], Some(&link));
    assert_eq!(linked.status, 204, "{linked:?}");
    traveller.browser.set_cookie(&wiki, "sid", cookie);
    traveller.browser.open(&wiki);
    traveller.browser.wait_until("in the wiki", |browser| browser.text().contains("reached"));
    assert_eq!(traveller.browser.url(), wiki);

    // The grants of the two hosts are two: each host has its own secret.
    let cookies = traveller.browser.cookies();
    let grants: Vec<&Value> =
        cookies["cookies"].as_array().unwrap().iter().filter(|cookie| cookie["name"] == "__Host-countersign-grant").collect();
    assert_eq!(grants.len(), 2, "{cookies}");
    assert_ne!(grants[0]["value"], grants[1]["value"]);
    assert!(grants.iter().all(|grant| grant["httpOnly"] == true && grant["secure"] == true), "{grants:?}");
}
