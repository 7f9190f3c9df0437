//! `crypto.*`: digests and message authentication codes, as lower-case hexadecimal.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use regorus::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::call::{Builtin, Call, Failure};

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new("crypto.md5", 1, |call| digest::<Md5>(call)),
    Builtin::new("crypto.sha1", 1, |call| digest::<Sha1>(call)),
    Builtin::new("crypto.sha256", 1, |call| digest::<Sha256>(call)),
    Builtin::new("crypto.hmac.md5", 2, |call| code(call, Hmac::<Md5>::new_from_slice)),
    Builtin::new("crypto.hmac.sha1", 2, |call| code(call, Hmac::<Sha1>::new_from_slice)),
    Builtin::new("crypto.hmac.sha256", 2, |call| code(call, Hmac::<Sha256>::new_from_slice)),
    Builtin::new("crypto.hmac.sha512", 2, |call| code(call, Hmac::<Sha512>::new_from_slice)),
    Builtin::new("crypto.hmac.equal", 2, equal),
];

fn digest<D: Digest>(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::from(hex(&D::digest(call.text(0)?))))
}

fn code<M: Mac, E>(call: &Call<'_>, keyed: impl Fn(&[u8]) -> Result<M, E>) -> Result<Value, Failure> {
    let mut code = keyed(call.text(1)?.as_bytes()).map_err(|_| call.operand("the key cannot be used"))?;
    code.update(call.text(0)?.as_bytes());
    Ok(Value::from(hex(&code.finalize().into_bytes())))
}

fn equal(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::from(bool::from(call.text(0)?.as_bytes().ct_eq(call.text(1)?.as_bytes()))))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
