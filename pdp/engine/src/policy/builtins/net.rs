//! `net.*`: networks against networks and addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use regorus::Value;

use super::call::{Builtin, Call, Failure, MAX_ITEMS};

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new("net.cidr_contains", 2, contains),
    Builtin::new("net.cidr_overlap", 2, contains),
    Builtin::new("net.cidr_intersects", 2, intersects),
    Builtin::new("net.cidr_contains_matches", 2, matches),
    Builtin::new("net.cidr_merge", 1, merge),
];

fn network(call: &Call<'_>, text: &str) -> Result<IpNet, Failure> {
    text.parse().map_err(|_| call.operand(format!("`{}` is no network", short(text))))
}

/// A network, or one address as the network of itself.
fn place(call: &Call<'_>, text: &str) -> Result<IpNet, Failure> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => network(call, text),
    }
}

/// An IPv4 address that is written as IPv6 is the IPv4 address: else a rule about a network could be stepped around by spelling.
fn plain(net: IpNet) -> IpNet {
    let mapped = match net {
        IpNet::V6(net) if net.prefix_len() >= 96 => {
            net.addr().to_ipv4_mapped().and_then(|address| Ipv4Net::new(address, net.prefix_len() - 96).ok())
        }
        _ => None,
    };
    mapped.map_or(net, IpNet::V4)
}

fn holds(net: IpNet, part: IpNet) -> bool {
    plain(net).trunc().contains(&plain(part).trunc())
}

fn contains(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::from(holds(network(call, call.text(0)?)?, place(call, call.text(1)?)?)))
}

fn intersects(call: &Call<'_>) -> Result<Value, Failure> {
    let (a, b) = (network(call, call.text(0)?)?, network(call, call.text(1)?)?);
    Ok(Value::from(holds(a, b) || holds(b, a)))
}

/// Every pair of a network of the first argument and a place of the second that lies within it, each named by its index, its key or itself.
fn matches(call: &Call<'_>) -> Result<Value, Failure> {
    let read = |at: usize| -> Result<Vec<(Value, &str)>, Failure> {
        named(call, call.value(at)?)?.into_iter().map(|(name, value)| Ok((name, first_text(call, value)?))).collect()
    };
    let (nets, places) = (read(0)?, read(1)?);
    call.within(nets.len().saturating_mul(places.len()), 100 * MAX_ITEMS)?;
    let nets = nets.into_iter().map(|(name, text)| Ok((name, network(call, text)?))).collect::<Result<Vec<_>, Failure>>()?;
    let places = places.into_iter().map(|(name, text)| Ok((name, place(call, text)?))).collect::<Result<Vec<_>, Failure>>()?;
    let pairs = nets.iter().flat_map(|(net_name, net)| {
        let within = places.iter().filter(|(_, place)| holds(*net, *place));
        within.map(move |(place_name, _)| Value::from(vec![net_name.clone(), place_name.clone()]))
    });
    let pairs: BTreeSet<Value> = pairs.take(MAX_ITEMS + 1).collect();
    call.within(pairs.len(), MAX_ITEMS)?;
    Ok(Value::from(pairs))
}

fn named<'a>(call: &Call<'a>, value: &'a Value) -> Result<Vec<(Value, &'a Value)>, Failure> {
    match value {
        Value::String(_) => Ok(vec![(value.clone(), value)]),
        Value::Array(items) => Ok(items.iter().enumerate().map(|(at, item)| (Value::from(at), item)).collect()),
        Value::Set(items) => Ok(items.iter().map(|item| (item.clone(), item)).collect()),
        Value::Object(members) => Ok(members.iter().map(|(name, member)| (name.clone(), member)).collect()),
        _ => Err(call.operand("a string, array, set or object is expected")),
    }
}

fn first_text<'a>(call: &Call<'a>, value: &'a Value) -> Result<&'a str, Failure> {
    let first = match value {
        Value::Array(items) => items.iter().next(),
        other => Some(other),
    };
    first.and_then(|first| first.as_string().ok()).map(AsRef::as_ref).ok_or_else(|| call.operand("an element must be a string or a non-empty array"))
}

/// The fewest networks that hold the same addresses.
fn merge(call: &Call<'_>) -> Result<Value, Failure> {
    let items: Vec<&Value> = match call.value(0)? {
        Value::Array(items) => items.iter().collect(),
        Value::Set(items) => items.iter().collect(),
        _ => return Err(call.operand("an array or a set is expected")),
    };
    call.within(items.len(), MAX_ITEMS)?;
    let nets = items.into_iter().map(|item| classful(call, call.text_of(item)?)).collect::<Result<Vec<_>, Failure>>()?;
    let merged: BTreeSet<Value> = IpNet::aggregate(&nets).into_iter().map(|net| Value::from(net.to_string())).collect();
    Ok(Value::from(merged))
}

/// As Go reads an address without a prefix length: the network of its class, which only IPv4 has.
fn classful(call: &Call<'_>, text: &str) -> Result<IpNet, Failure> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => IpNet::new(address.into(), class(address)).map(|net| net.trunc()).map_err(|_| call.operand("no network")),
        Ok(IpAddr::V6(_)) => Err(call.operand("an IPv6 address needs a prefix length")),
        Err(_) => network(call, text).map(|net| net.trunc()),
    }
}

const fn class(address: Ipv4Addr) -> u8 {
    match address.octets() {
        [0..128, ..] => 8,
        [128..192, ..] => 16,
        _ => 24,
    }
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
