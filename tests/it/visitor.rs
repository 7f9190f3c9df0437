//! Somebody with a browser: what they hold, where they are, and what they do on the pages.

use countersign_tests::browser::{Browser, Driver};
use countersign_tests::issuer::ISS;
use countersign_tests::stage::{FROM, Stage};

/// A browser of alice's, or one that holds her stolen token.
pub(crate) struct Visitor<'a> {
    stage: &'a Stage,
    pub(crate) browser: Browser<'a>,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(stage: &'a Stage, driver: &'a Driver, from: &str, token: &str) -> Self {
        let browser = driver.browser();
        browser.extra_headers(&[(FROM, from)]);
        browser.set_cookie(&stage.url("payroll", "/"), "access_token", token);
        Self { stage, browser }
    }

    pub(crate) fn visit(&self, target: &str) {
        self.browser.open(&self.stage.url("payroll", target));
    }

    pub(crate) fn is_on(&self, host: &str, path: &str) -> bool {
        self.browser.url().starts_with(&self.stage.url(host, path))
    }

    #[track_caller]
    pub(crate) fn reaches(&self, target: &str) {
        self.browser.wait_until(&format!("at {target}"), |browser| browser.text().contains("reached"));
        assert!(self.is_on("payroll", target), "{}", self.browser.url());
    }

    #[track_caller]
    pub(crate) fn is_asked(&self) {
        self.browser.wait_until("asked for a passkey", |_| self.is_on("auth", "/step-up/"));
    }

    /// With a code of the operator's, as a person does it.
    #[track_caller]
    pub(crate) fn enroll(&self, sub: &str) {
        let issued = self.stage.operated(&["enroll-code", "--iss", ISS, "--sub", sub]);
        self.browser.open(&self.stage.url("auth", "/enroll"));
        self.browser.fill("input[name=code]", issued["code"].as_str().unwrap());
        self.browser.fill("input[name=label]", "test key");
        self.browser.click("button");
        let enrolled = || self.stage.operated(&["credentials", "list", "--iss", ISS, "--sub", sub]);
        self.browser.wait_until("enrolled", |_| enrolled()["credentials"].as_array().is_some_and(|all| !all.is_empty()));
    }
}
