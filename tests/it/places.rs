//! Place databases: a real one with accuracy radii, and what becomes of missing, stale, broken and replaced files.

use std::net::IpAddr;
use std::path::Path;

use countersign_pdp_server::places::{Files, Places};
use countersign_sdk_types::{Place, PlaceGap, Seconds, Timestamp};
use countersign_tests::process::parts;
use countersign_tests::stage::now;

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn city(path: &Path) -> Places {
    Places::new(Files { city: Some(path.to_owned()), ..Files::default() }, None)
}

#[test]
fn a_real_database_gives_places_with_their_radius() {
    let places = city(&parts().join("real/GeoLite2-City.mmdb"));
    let mut radii = std::collections::BTreeSet::new();
    for (text, country) in [("8.8.8.8", "US"), ("81.2.69.160", "GB"), ("2001:4860:4860::8888", "US"), ("133.11.0.1", "JP")] {
        let place = places.place(address(text), now());
        let record = place.known().unwrap_or_else(|| panic!("{text}: {place:?}"));
        assert_eq!(record.country.map(|country| country.to_string()).as_deref(), Some(country), "{text}");
        let at = record.at.unwrap();
        assert!((-90.0..=90.0).contains(&at.lat) && (-180.0..=180.0).contains(&at.lon));
        radii.insert(record.radius.map(|radius| radius.0.to_bits()));
    }
    assert!(radii.len() > 1 && radii.iter().all(Option::is_some), "radii differ and are there: {radii:?}");
    assert_eq!(places.place(address("127.0.0.1"), now()), Place::Unknown(PlaceGap::NotFound));
}

#[test]
fn what_is_missing_stale_or_broken_is_unknown_and_says_why() {
    let small = parts().join("city.mmdb");
    assert_eq!(city(Path::new("nowhere.mmdb")).place(address("192.0.2.1"), now()), Place::Unknown(PlaceGap::NoDatabase));
    assert_eq!(city(&small).place(None, now()), Place::Unknown(PlaceGap::NoAddress));
    let aging = Places::new(Files { city: Some(small), ..Files::default() }, Some(Seconds(86_400)));
    let in_a_year = Timestamp(now().0 + 365 * 86_400_000);
    assert_eq!(aging.place(address("192.0.2.1"), in_a_year), Place::Unknown(PlaceGap::Stale));
}

#[test]
fn a_replaced_file_is_read_again_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("city.mmdb");
    std::fs::copy(parts().join("city.mmdb"), &path).unwrap();
    let places = city(&path);
    let country =
        |text: &str| places.place(address(text), now()).known().and_then(|place| place.country).map(|country| country.to_string());
    assert_eq!(country("192.0.2.1").as_deref(), Some("FR"));
    let replace = |bytes: &[u8], second: u64| {
        let next = folder.path().join("next");
        std::fs::write(&next, bytes).unwrap();
        // Another time than before, whatever the resolution of the file system is.
        let changed = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
        std::fs::File::options().write(true).open(&next).unwrap().set_modified(changed).unwrap();
        std::fs::rename(&next, &path).unwrap();
        places.refresh();
    };
    replace(b"this is no database", 1_000_000_000);
    assert_eq!(country("192.0.2.1").as_deref(), Some("FR"), "the last good one goes on");
    replace(&std::fs::read(parts().join("real/GeoLite2-City.mmdb")).unwrap(), 1_000_000_001);
    assert_eq!(country("192.0.2.1"), None, "a documentation address is in no real database");
    assert_eq!(country("8.8.8.8").as_deref(), Some("US"));
}
