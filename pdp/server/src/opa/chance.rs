//! Randomness for the ids of decisions and the seed of a question: unpredictable, and no secret.

/// 32 random bytes; all zero where the system has none, which only makes `rand.intn` predictable.
pub(crate) fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    if aws_lc_rs::rand::fill(&mut seed).is_err() {
        tracing::error!("the system gives no random numbers");
    }
    seed
}

/// A random UUID (RFC 9562, version 4).
pub(crate) fn uuid() -> String {
    let mut random = [0; 16];
    random.copy_from_slice(seed().first_chunk::<16>().unwrap_or(&[0; 16]));
    let number = u128::from_be_bytes(random);
    let marked = number & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{marked:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn an_id_has_the_form_of_version_4() {
        let id = uuid();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(id, uuid());
    }
}
