//! What HAProxy does not forgive: its rules run one after the other, and a script that fails is a rule that did nothing.

use super::{Finding, OWN_PATH, Rule, Severity, missing_identity};

pub(super) const RULES: &[&Rule] = &[
    &UNCHECKED,
    &UNCHECKED_BACKEND,
    &NOT_DENIED,
    &PRESET,
    &ALLOWED,
    &CONDITIONAL,
    &IDENTITY,
    &UNDERSCORES,
    &CLIENT_ADDRESS,
    &APPENDED,
    &CACHED,
    &REWRITTEN,
    &NO_TIMEOUT,
];

const UNCHECKED: Rule = Rule {
    id: "haproxy/nothing-checked",
    severity: Severity::High,
    why: "no `http-request lua.…` is in this file, so nothing in it is decided about",
    instead: "`http-request lua.countersign` in each backend that is an application",
};
const UNCHECKED_BACKEND: Rule = Rule {
    id: "haproxy/unchecked-backend",
    severity: Severity::High,
    why: "this backend is used without a check, beside others that are checked",
    instead: "`http-request lua.countersign` and the `deny` after it in this backend, or in the frontend before it is chosen",
};
const NOT_DENIED: Rule = Rule {
    id: "haproxy/failure-allowed",
    severity: Severity::High,
    why: "when the script fails HAProxy goes on with the next rule, and the request passes",
    instead: "`http-request deny unless { var(txn.countersign.allowed) -m bool }` right after the check",
};
const PRESET: Rule = Rule {
    id: "haproxy/allowed-by-rule",
    severity: Severity::High,
    why: "only the script may say that a request is allowed",
    instead: "no `set-var` of the script's variable",
};
const ALLOWED: Rule = Rule {
    id: "haproxy/allow-before-check",
    severity: Severity::High,
    why: "`http-request allow` ends the rules: what it matches is never decided about",
    instead: "no `allow` before the check; what needs none belongs into another backend",
};
const CONDITIONAL: Rule = Rule {
    id: "haproxy/conditional-check",
    severity: Severity::Medium,
    why: "what the condition leaves out is not decided about, and clients can often bring it about",
    instead: "check without a condition in the backend; send `/.countersign/` to another",
};
const IDENTITY: Rule = Rule {
    id: "haproxy/identity-not-set",
    severity: Severity::High,
    why: "a header that is not set is passed on as the client sent it, and the application believes it",
    instead: "our script, which sets each of them; with another one `http-request set-header` for each, after the check",
};
const UNDERSCORES: Rule = Rule {
    id: "haproxy/underscores-passed",
    severity: Severity::High,
    why: "many applications read `Remote_User` as `Remote-User`, and a client may send it",
    instead: "`option http-restrict-req-hdr-names delete` in the frontend",
};
const CLIENT_ADDRESS: Rule = Rule {
    id: "haproxy/address-from-header",
    severity: Severity::Medium,
    why: "whoever can reach this port chooses where they come from",
    instead: "the PROXY protocol (`accept-proxy`) from your own load balancers, or a condition on their addresses",
};
const APPENDED: Rule = Rule {
    id: "haproxy/forwarded-for-appended",
    severity: Severity::Medium,
    why: "what the client wrote stays in front, where many applications look",
    instead: "`http-request set-header X-Forwarded-For %[src]`",
};
const CACHED: Rule = Rule {
    id: "haproxy/cached-before-check",
    severity: Severity::High,
    why: "what is in the cache is given to everybody, without a decision",
    instead: "no `cache-use` before the check",
};
const REWRITTEN: Rule = Rule {
    id: "haproxy/path-rewritten",
    severity: Severity::Medium,
    why: "what is decided about is not the path that the client sent",
    instead: "rewrite after the check, or let the policy know the inner path",
};
const NO_TIMEOUT: Rule = Rule {
    id: "haproxy/no-timeout",
    severity: Severity::Medium,
    why: "connections wait for ever, and pile up",
    instead: "`timeout connect`, `timeout client` and `timeout server` in `defaults`",
};

/// The longest `http-request` rule that matters, in words.
const SECTIONS: [&str; 4] = ["defaults", "frontend", "backend", "listen"];

struct Line<'a> {
    number: usize,
    words: Vec<&'a str>,
}

struct Section<'a> {
    kind: &'a str,
    name: &'a str,
    number: usize,
    lines: Vec<Line<'a>>,
}

impl<'a> Line<'a> {
    fn starts(&self, words: &[&str]) -> bool {
        self.words.get(..words.len()) == Some(words)
    }

    /// The action of an `http-request` rule.
    fn action(&self) -> &'a str {
        if self.starts(&["http-request"]) { self.words.get(1).copied().unwrap_or_default() } else { "" }
    }

    fn is_check(&self) -> bool {
        self.action().starts_with("lua.")
    }

    fn is_ours(&self) -> bool {
        self.action() == "lua.countersign"
    }

    fn text(&self) -> String {
        self.words.join(" ")
    }

    /// The variable that a check of this name sets: ours, or that of the widespread `auth-request.lua`.
    fn names_verdict(&self) -> bool {
        self.words.iter().any(|word| word.contains("txn.countersign.allowed") || word.contains("txn.auth_response_successful"))
    }

    fn at(&self, rule: &'static Rule) -> Finding {
        rule.at(self.number, self.text())
    }
}

impl Section<'_> {
    fn check(&self) -> Option<usize> {
        self.lines.iter().position(Line::is_check)
    }

    fn has(&self, words: &[&str]) -> bool {
        self.lines.iter().any(|line| line.starts(words))
    }

    /// The servers of the decision point itself: whoever sets its secret leads there.
    fn is_own(&self) -> bool {
        self.lines.iter().any(|line| {
            line.action() == "set-header" && line.words.get(2).is_some_and(|name| name.eq_ignore_ascii_case("x-countersign-pep"))
        })
    }
}

pub(super) fn examine(text: &str) -> Vec<Finding> {
    let sections = sections(text);
    let mut found = Vec::new();
    let checks: Vec<_> = sections.iter().filter(|section| section.check().is_some()).collect();
    if checks.is_empty() {
        return vec![UNCHECKED.at(1, "the whole file")];
    }
    for section in &sections {
        around(section, &mut found);
        match section.check() {
            Some(at) => checked(section, at, &mut found),
            None => unchecked(section, &sections, &mut found),
        }
    }
    for option in ["connect", "client", "server"] {
        if !sections.iter().any(|section| section.has(&["timeout", option])) {
            found.push(NO_TIMEOUT.at(1, format!("timeout {option}")));
        }
    }
    found
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        match (words.first(), sections.last_mut()) {
            (Some(kind), _) if !line.starts_with(char::is_whitespace) => {
                let name = words.get(1).copied().unwrap_or_default();
                sections.push(Section { kind, name, number, lines: Vec::new() });
            }
            (Some(_), Some(section)) => section.lines.push(Line { number, words }),
            _ => {}
        }
    }
    sections.retain(|section| SECTIONS.contains(&section.kind));
    sections
}

/// A section that asks.
fn checked(section: &Section<'_>, at: usize, found: &mut Vec<Finding>) {
    let (before, rest) = section.lines.split_at(at);
    let Some((check, after)) = rest.split_first() else { return };
    let denies = |line: &Line<'_>| {
        matches!(line.action(), "deny" | "reject" | "silent-drop" | "tarpit") && line.words.contains(&"unless") && line.names_verdict()
    };
    if !after.iter().any(denies) {
        found.push(check.at(&NOT_DENIED));
    }
    if check.words.iter().any(|word| matches!(*word, "if" | "unless")) {
        found.push(check.at(&CONDITIONAL));
    }
    let sets = |line: &&Line<'_>| matches!(line.action(), "set-header" | "del-header");
    let set: Vec<&str> = after.iter().filter(sets).filter_map(|line| line.words.get(2).copied()).collect();
    if let Some(missing) = missing_identity(set.iter().copied()).filter(|_| !check.is_ours()) {
        found.push(IDENTITY.at(check.number, missing));
    }
    for line in before {
        match line.action() {
            "allow" => found.push(line.at(&ALLOWED)),
            "cache-use" => found.push(line.at(&CACHED)),
            "set-path" | "set-pathq" | "set-uri" | "replace-path" | "replace-pathq" | "replace-uri" | "normalize-uri" => {
                found.push(line.at(&REWRITTEN));
            }
            _ => {}
        }
    }
}

/// A backend that does not ask, though others do: is it reached past the check?
fn unchecked(section: &Section<'_>, sections: &[Section<'_>], found: &mut Vec<Finding>) {
    if section.kind != "backend" || section.is_own() {
        return;
    }
    let chooses =
        |line: &Line<'_>| (line.starts(&["use_backend"]) || line.starts(&["default_backend"])) && line.words.get(1) == Some(&section.name);
    let is_past = |line: &Line<'_>| chooses(line) && !line.words.contains(&OWN_PATH);
    let reached = sections
        .iter()
        .any(|front| matches!(front.kind, "frontend" | "listen") && front.check().is_none() && front.lines.iter().any(is_past));
    if reached {
        found.push(UNCHECKED_BACKEND.at(section.number, format!("backend {}", section.name)));
    }
}

/// What is wrong wherever it is.
fn around(section: &Section<'_>, found: &mut Vec<Finding>) {
    for line in &section.lines {
        let preset = line.action().starts_with("set-var(") && line.names_verdict();
        if preset {
            found.push(line.at(&PRESET));
        }
        let unconditional = !line.words.iter().any(|word| matches!(*word, "if" | "unless"));
        if line.action() == "set-src" && line.words.get(2).is_some_and(|source| source.contains("hdr")) && unconditional {
            found.push(line.at(&CLIENT_ADDRESS));
        }
        if line.starts(&["option", "forwardfor"]) {
            found.push(line.at(&APPENDED));
        }
    }
    let restricts =
        section.lines.iter().any(|line| line.starts(&["option", "http-restrict-req-hdr-names"]) && line.words.get(2) != Some(&"preserve"));
    if matches!(section.kind, "frontend" | "listen") && !restricts {
        found.push(UNDERSCORES.at(section.number, format!("{} {}", section.kind, section.name)));
    }
}
