//! Addresses, one a line.

use super::*;

#[track_caller]
fn check(address: &str, public: bool) {
    assert_eq!(Reach::Public.allows(address.parse().unwrap()), public, "{address}");
}

#[test]
fn what_is_public() {
    check("1.1.1.1", true);
    check("172.32.0.1", true);
    check("100.128.0.1", true);
    check("2606:4700::1111", true);
    check("::ffff:1.1.1.1", true);
    check("64:ff9b::101:101", true);
}

#[test]
fn what_is_not() {
    for address in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:7f00:1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ] {
        check(address, false);
    }
}

#[tokio::test]
async fn a_name_of_this_machine_is_resolved_for_this_machine_only() {
    let resolve = |reach| Resolver::new(reach).call("localhost".parse().unwrap());
    assert!(resolve(Reach::Loopback).await.unwrap().all(|address| address.ip().is_loopback()));
    assert!(resolve(Reach::Public).await.is_err());
}

#[tokio::test]
async fn a_number_that_the_system_reads_as_an_address_is_checked_as_one() {
    for disguised in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"] {
        assert!(Resolver::new(Reach::Public).call(disguised.parse().unwrap()).await.is_err(), "{disguised}");
    }
}
