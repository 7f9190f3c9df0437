//! The made-up places.

use countersign_sdk_types::PlaceRecord;

use super::{DEMO, PlaceTable};

#[track_caller]
fn check(address: &str, expected: Option<(&str, &str)>) {
    let table = PlaceTable::demo();
    let found = table.find(address.parse().unwrap());
    assert_eq!(found.map(|place| (place.city.as_deref().unwrap(), place.operator.as_deref().unwrap())), expected, "{address}");
}

#[test]
fn the_demo_knows_its_networks_and_nothing_else() {
    check("192.0.2.10", Some(("Paris", "Paris Office")));
    check("192.0.2.200", Some(("Paris", "Paris Home Broadband")));
    check("198.51.100.7", Some(("Paris", "Paris Hotel")));
    check("203.0.113.9", Some(("Singapore", "Singapore Hosting")));
    check("2001:db8:2::1", Some(("Singapore", "Singapore Hosting")));
    check("127.0.0.1", None);
    check("2001:db8:3::1", None);
}

#[test]
fn every_row_of_the_demo_is_read() {
    assert_eq!(PlaceTable::demo().0.len(), DEMO.len());
    assert!(PlaceTable::demo().0.iter().all(|(_, place)| place.country.is_some()));
}

#[test]
fn the_longest_prefix_wins() {
    let named = |city: &str| PlaceRecord { city: Some(city.to_owned()), ..PlaceRecord::default() };
    let table = PlaceTable::new([("192.0.2.0/24".parse().unwrap(), named("wide")), ("192.0.2.1/32".parse().unwrap(), named("narrow"))]);
    assert_eq!(table.find("192.0.2.1".parse().unwrap()), Some(&named("narrow")));
    assert_eq!(table.find("192.0.2.2".parse().unwrap()), Some(&named("wide")));
}
