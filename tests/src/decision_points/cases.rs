//! The cases: what a policy may say, who may ask, and what is no question.

use countersign_sdk_client::{ErrorKind, Question};
use countersign_sdk_types::{DenialCode, EvaluationRequest};
use serde_json::{Value, json};

use super::{Case, Expected, HOST, OBLIGATION, WITH_PASSKEY, World, asks, bears};

/// Every case.
#[must_use]
pub fn cases() -> Vec<Case> {
    [of_the_policy(), of_obligations(), of_tokens(), of_requests(), of_callers()].into_iter().flatten().collect()
}

fn case(name: &'static str, expected: Expected, question: impl Fn(&World) -> Question + 'static) -> Case {
    Case { name, question: Box::new(question), expected }
}

/// A question of a subject with a valid token about a path.
fn of(sub: &'static str, target: &'static str) -> impl Fn(&World) -> Question {
    move |world| Question::new(bears(target, &world.token(sub, &json!({}))))
}

const fn deny(code: DenialCode) -> Expected {
    Expected::Deny(Some(code))
}

fn of_the_policy() -> Vec<Case> {
    use DenialCode::{NotEnrolled, PolicyDenied, PolicyError, PolicyShape, PolicyUndefined};
    vec![
        case("an allow", Expected::Allow(&[]), of("alice", "/open")),
        case("an allow, with a query", Expected::Allow(&[]), of("alice", "/open?month=3")),
        case("a final no", deny(PolicyDenied), of("alice", "/closed")),
        case("a no that nothing changes", deny(PolicyDenied), of("alice", "/nowhere")),
        case("a passkey would make it yes, and is there", Expected::StepUp("phr"), of(WITH_PASSKEY, "/strong")),
        case("a passkey would make it yes, and is not there", deny(NotEnrolled), of("alice", "/strong")),
        case("two rules disagree", deny(PolicyError), of("alice", "/torn")),
        case("an effect that there is not", deny(PolicyShape), of("alice", "/shapeless")),
        case("no rule speaks", deny(PolicyUndefined), of("alice", "/undefined")),
        case("hers", Expected::Allow(&[]), of("alice", "/mine")),
        case("not his", deny(PolicyDenied), of("bob", "/mine")),
    ]
}

fn of_obligations() -> Vec<Case> {
    let supporting = |target: &'static str, types: &'static [&'static str]| {
        move |world: &World| Question::new(bears(target, &world.token("alice", &json!({})))).supporting(types.iter().copied())
    };
    let unsupported = || deny(DenialCode::ObligationUnsupported);
    vec![
        case("an obligation that is carried out", Expected::Allow(&["n1"]), supporting("/told", &["notification"])),
        case("two of one type", Expected::Allow(&["n1", "n2"]), supporting("/told/twice", &["notification", "watermark"])),
        case("one of this world", Expected::Allow(&["w"]), supporting("/marked", &[OBLIGATION])),
        case("another one is carried out", unsupported(), supporting("/told", &[OBLIGATION])),
        case("one that nobody offers", unsupported(), supporting("/told", &["dance"])),
        case("nothing is said of obligations, and none can be carried out", Expected::Deny(None), of("alice", "/told")),
        case("what is supported and not asked for", Expected::Allow(&[]), supporting("/open", &["notification"])),
        case("a step-up stays a no", Expected::StepUp("phr"), |world| {
            Question::new(bears("/strong", &world.token(WITH_PASSKEY, &json!({})))).supporting(["step-up", "notification"])
        }),
    ]
}

fn of_tokens() -> Vec<Case> {
    use DenialCode::{ExpiredToken, InvalidToken, NoCredentials};
    let with = |more: Value| move |world: &World| Question::new(bears("/open", &world.token("alice", &more)));
    let text = |token: &'static str| move |_: &World| Question::new(bears("/open", token));
    vec![
        case("no token", deny(NoCredentials), |_| Question::new(asks("/open", &[]))),
        case("no token in the scheme of passwords", deny(NoCredentials), |_| {
            Question::new(asks("/open", &[("authorization", "Basic YWxpY2U6eA==")]))
        }),
        case("an empty token", deny(NoCredentials), text("")),
        case("no token at all", deny(InvalidToken), text("nonsense")),
        case("three parts of nothing", deny(InvalidToken), text("a.b.c")),
        case("unsigned", deny(InvalidToken), text("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJhbGljZSJ9.")),
        case("expired", deny(ExpiredToken), with(json!({"iat": 1_700_000_000, "exp": 1_700_000_600}))),
        case("not valid yet", deny(ExpiredToken), with(json!({"nbf": 4_000_000_000_u64, "exp": 4_000_000_600_u64}))),
        case("of an issuer that nobody knows", deny(InvalidToken), with(json!({"iss": "https://other.example"}))),
        case("for another audience", deny(InvalidToken), with(json!({"aud": "another"}))),
        case("for no audience", deny(InvalidToken), with(json!({"aud": null}))),
        case("without an end", deny(InvalidToken), with(json!({"exp": null}))),
        case("of nobody", deny(InvalidToken), with(json!({"sub": null}))),
        case("of an empty name", deny(InvalidToken), with(json!({"sub": ""}))),
        case("bound to a key that is not proved", deny(InvalidToken), with(json!({"cnf": {"jkt": "k"}}))),
        case("signed by somebody else under the same name", deny(InvalidToken), |world| {
            Question::new(bears("/open", &world.forger.token("alice", &json!({}))))
        }),
        case("changed by one letter", deny(InvalidToken), |world| {
            let token = world.token("alice", &json!({}));
            let (head, signature) = token.rsplit_once('.').unwrap();
            let turned = if signature.starts_with('A') { "B" } else { "A" };
            Question::new(bears("/open", &format!("{head}.{turned}{}", &signature[1..])))
        }),
    ]
}

/// What is no question is no answer, and nobody's denial: the enforcement point is at fault.
fn of_requests() -> Vec<Case> {
    let refused = || Expected::Error(ErrorKind::Refused);
    let changed = |change: fn(&mut EvaluationRequest)| {
        move |world: &World| {
            let mut asked = bears("/open", &world.token("alice", &json!({})));
            change(&mut asked);
            Question::new(asked)
        }
    };
    let mut cases = vec![
        case("two tokens", refused(), |world| {
            let [one, two] = ["alice", "bob"].map(|sub| format!("Bearer {}", world.token(sub, &json!({}))));
            Question::new(asks("/open", &[("authorization", &one), ("authorization", &two)]))
        }),
        case("another host", refused(), changed(|asked| asked.context["http"]["host"] = json!("other.example"))),
        case("another scheme", refused(), changed(|asked| asked.context["http"]["scheme"] = json!("ftp"))),
        case("a method that is none", refused(), changed(|asked| asked.context["http"]["method"] = json!("get it"))),
        case("a request that is none", refused(), changed(|asked| asked.context["http"] = json!(5))),
        case("a request with more in it", refused(), changed(|asked| asked.context["http"]["more"] = json!(1))),
        case("a header that is none", refused(), changed(|asked| asked.context["http"]["headers"] = json!([["a"]]))),
        case("a name that is computed", refused(), changed(|asked| drop(asked.context.insert("risk_score".to_owned(), json!(0))))),
        case("a device that is stated", refused(), changed(|asked| drop(asked.context.insert("device".to_owned(), json!({}))))),
        case(
            "obligations that are no list",
            refused(),
            changed(|asked| {
                asked.context.insert("supported_obligations".to_owned(), json!("notification"));
            }),
        ),
        case(
            "a question that is huge",
            refused(),
            changed(|asked| {
                asked.action.properties.insert("more".to_owned(), json!("x".repeat(300 * 1024)));
            }),
        ),
        case(
            "a question that is deep",
            refused(),
            changed(|asked| {
                let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
                asked.action.properties.insert("more".to_owned(), deep);
            }),
        ),
        case(
            "a question of very many values",
            refused(),
            changed(|asked| {
                asked.action.properties.insert("more".to_owned(), json!(vec![0; 21_000]));
            }),
        ),
    ];
    let paths = ["/./open", "/open/..", "//open", "/a%2Fopen", "/open;a=b", "/%2e%2e/open", "/open%00", "/open%2500", "/a\\open"];
    cases.extend(paths.map(|path| case(path, refused(), of("alice", path))));
    cases
}

/// The enforcement point of the world may state nothing.
fn of_callers() -> Vec<Case> {
    let refused = || Expected::Error(ErrorKind::Refused);
    vec![
        case("a subject that is stated", refused(), |world| {
            let mut asked = bears("/open", &world.token("alice", &json!({})));
            asked.subject.kind = "user".to_owned();
            Question::new(asked)
        }),
        case("a subject that is stated, without a request", refused(), |_| {
            let mut asked = asks("/open", &[]);
            asked.context.clear();
            Question::new(asked)
        }),
        case("a property that is stated", refused(), |world| {
            let mut asked = bears("/open", &world.token("alice", &json!({})));
            asked.subject.properties.insert("role".to_owned(), json!("admin"));
            Question::new(asked)
        }),
        case("an address that is stated", refused(), |world| {
            let mut asked = bears("/open", &world.token("alice", &json!({})));
            asked.context["http"]["client_address"] = json!("192.0.2.1");
            Question::new(asked)
        }),
        case("a member of the context that is stated", refused(), |world| {
            let mut asked = bears("/open", &world.token("alice", &json!({})));
            asked.context.insert("department".to_owned(), json!(HOST));
            Question::new(asked)
        }),
    ]
}
