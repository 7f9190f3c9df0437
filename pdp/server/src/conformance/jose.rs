//! Wycheproof vectors of JOSE: signatures and keys, by the same verification that tokens go through. What is signed is never read, so claims are no
//! matter here.
//!
//! A valid signature that is refused on purpose is a failure that is known. Encrypted tokens are no access tokens: that each is refused is checked; what
//! one would decrypt to is not, and is skipped.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_pdp_engine::keys::{ALGORITHMS, KeySet, SignatureError};
use countersign_sdk_types::strict::{self, Limits};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Outcome, Report};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

/// The cases of one key, or set of keys.
#[derive(Deserialize)]
struct Group {
    public: Option<Value>,
    private: Option<Value>,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u64,
    comment: String,
    result: Expected,
    #[serde(flatten)]
    token: Token,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Token {
    /// A signed token, compact or as JSON.
    Jws(Value),
    /// An encrypted one.
    Jwe(Value),
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Valid,
    Invalid,
    /// Both are right.
    Acceptable,
}

/// Runs the cases of a file.
///
/// # Errors
/// When the file does not hold cases of this suite, or another number than it says.
pub fn run(file: &[u8], known: &BTreeSet<String>) -> Result<Report, String> {
    let document: Document = strict::from_slice(file, Limits::DATA).map_err(|error| format!("no vectors of Wycheproof: {error}"))?;
    let mut report = Report::default();
    for group in &document.test_groups {
        let key = group.public.as_ref().or(group.private.as_ref()).ok_or("a group of cases has no key")?;
        let keys = key_set(key);
        for case in &group.tests {
            let name = format!("{} {}", case.tc_id, case.comment);
            match judge(case, key, keys.as_ref()) {
                Judged::Outcome(outcome) => report.count(&name, outcome, known),
                Judged::Exception(why) => report.count(&name, Outcome::Failed(why.to_owned()), &BTreeSet::from([name.clone()])),
            }
        }
    }
    if report.cases != document.number_of_tests {
        return Err(format!("the file says {} cases and holds {}", document.number_of_tests, report.cases));
    }
    Ok(report)
}

/// One key, or a set as it is; none where the set is refused as a whole.
fn key_set(key: &Value) -> Option<KeySet> {
    let set = if key.get("keys").is_some() { key.clone() } else { json!({"keys": [key]}) };
    KeySet::parse(set.to_string().as_bytes()).ok()
}

enum Judged {
    Outcome(Outcome),
    /// Valid, and refused on purpose.
    Exception(&'static str),
}

fn judge(case: &Case, key: &Value, keys: Option<&KeySet>) -> Judged {
    let (Token::Jws(token) | Token::Jwe(token)) = &case.token;
    let token = match token {
        Value::String(token) => token.clone(),
        Value::Null => String::new(),
        json => json.to_string(),
    };
    let refused = keys.map_or(Some(SignatureError::UnknownKey), |keys| keys.verify(&token, &ALGORITHMS).err());
    Judged::Outcome(match (&case.token, case.result, refused) {
        (_, Expected::Acceptable, _) | (_, Expected::Invalid, Some(_)) | (Token::Jws(_), Expected::Valid, None) => Outcome::Passed,
        (_, Expected::Invalid, None) => Outcome::Failed("a signature holds that must not".to_owned()),
        (Token::Jws(_), Expected::Valid, Some(error)) => match exception(key, &token) {
            Some(why) => return Judged::Exception(why),
            None => Outcome::Failed(format!("a signature that holds is refused: {error}")),
        },
        (Token::Jwe(_), Expected::Valid, Some(SignatureError::Shape | SignatureError::Header(_))) => {
            Outcome::Skipped("tokens are not decrypted; as an access token it is refused by its form".to_owned())
        }
        (Token::Jwe(_), Expected::Valid, refused) => Outcome::Failed(format!("an encrypted token is not refused by its form: {refused:?}")),
    })
}

/// Why a valid signature is refused, by what its key or its header asks for.
fn exception(key: &Value, token: &str) -> Option<&'static str> {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap_or_default()).unwrap_or_default();
    let header = strict::value(&header, Limits::CLAIMS).unwrap_or_default();
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    let key = key.get("keys").and_then(|keys| keys.get(0)).unwrap_or(key);
    let member = |name: &str| key.get(name).and_then(Value::as_str);
    match () {
        () if token.split('.').count() != 3 => Some("only the compact serialization is read"),
        () if member("kty") == Some("oct") => Some("symmetric keys are never taken from a key set"),
        () if algorithm == "ES512" || member("crv") == Some("P-521") => Some("ES512 is not offered"),
        () if member("e").is_some_and(|exponent| exponent != "AQAB") => Some("RSA exponents below 65537 are refused"),
        () if member("alg").is_some_and(|only| only != algorithm) => Some("the key says that it is for another algorithm"),
        () => None,
    }
}

#[cfg(test)]
mod tests;
