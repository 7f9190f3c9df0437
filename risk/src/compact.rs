//! Short forms for what is stored: points in tenths of a degree, radii in whole kilometres. Forms that people read keep the usual ones.

pub(crate) mod point {
    use countersign_sdk_types::Coordinates;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::cast_possible_truncation, reason = "degrees times ten are within ±1,800, and what is not saturates")]
    fn tenths(degrees: f64) -> i16 {
        libm::round(degrees * 10.0) as i16
    }

    pub(crate) fn serialize<S: Serializer>(point: &Option<Coordinates>, writer: S) -> Result<S::Ok, S::Error> {
        if writer.is_human_readable() {
            return point.serialize(writer);
        }
        point.map(|point| (tenths(point.lat), tenths(point.lon))).serialize(writer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Coordinates>, D::Error> {
        if reader.is_human_readable() {
            return Option::deserialize(reader);
        }
        let degrees = |tenths: i16| f64::from(tenths) / 10.0;
        let point: Option<(i16, i16)> = Option::deserialize(reader)?;
        Ok(point.map(|(lat, lon)| Coordinates { lat: degrees(lat), lon: degrees(lon) }))
    }
}

pub(crate) mod radius {
    use countersign_sdk_types::Kilometers;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(radius: &Option<Kilometers>, writer: S) -> Result<S::Ok, S::Error> {
        if writer.is_human_readable() {
            return radius.serialize(writer);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a radius is at most half the globe, and what is not saturates"
        )]
        radius.map(|Kilometers(radius)| libm::round(radius) as u16).serialize(writer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Kilometers>, D::Error> {
        if reader.is_human_readable() {
            return Option::deserialize(reader);
        }
        let radius: Option<u16> = Option::deserialize(reader)?;
        Ok(radius.map(|radius| Kilometers(f64::from(radius))))
    }
}
