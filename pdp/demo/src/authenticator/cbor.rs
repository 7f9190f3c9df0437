//! The few bytes of CBOR (RFC 8949) that a registration without attestation needs.

/// Attested credential data (WebAuthn Level 3 §6.5.1): a zero AAGUID, the id, the key as COSE writes it.
///
/// `point` is an uncompressed point of P-256: 4, then x and y of 32 bytes each (SEC 1 §2.3.3).
pub(super) fn attested(id: &[u8], point: &[u8]) -> Vec<u8> {
    let mut data = vec![0; 16];
    data.extend(u16::try_from(id.len()).unwrap_or_default().to_be_bytes());
    data.extend(id);
    // {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
    data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01]);
    for (name, from) in [(0x21, 1), (0x22, 33)] {
        data.push(name);
        data.extend(byte_string(point.get(from..from + 32).unwrap_or_default()));
    }
    data
}

/// `{"fmt": "none", "attStmt": {}, "authData": …}`.
pub(super) fn attestation_object(data: &[u8]) -> Vec<u8> {
    let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData".to_vec();
    object.extend(byte_string(data));
    object
}

fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let mut string = match u8::try_from(bytes.len()) {
        Ok(length) => vec![0x58, length],
        Err(_) => [&[0x59][..], &u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes()].concat(),
    };
    string.extend(bytes);
    string
}
