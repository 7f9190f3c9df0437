//! Which rules need which: nothing may need itself, and no chain may be too long or multiply too much.

use std::collections::BTreeMap;

use super::{Fault, Finding, MAX_CHAIN, MAX_PRODUCTS};

/// Peels off what needs nothing that is left; what remains needs itself. Gives the products that feed each rule, too.
pub(super) fn check(
    needs: &BTreeMap<String, BTreeMap<String, u64>>,
    products: &BTreeMap<String, u64>,
) -> (BTreeMap<String, u64>, Vec<Finding>) {
    let mut done: BTreeMap<&str, Chain> = BTreeMap::new();
    let mut left: Vec<&String> = needs.keys().collect();
    loop {
        let before = left.len();
        left.retain(|rule| {
            let below = needs.get(*rule).into_iter().flatten().map(|(need, times)| Some((*done.get(need.as_str())?, *times)));
            let Some(below) = below.collect::<Option<Vec<_>>>() else { return true };
            done.insert(rule, Chain::over(&below, products.get(*rule).copied().unwrap_or(0)));
            false
        });
        if left.len() == before {
            break;
        }
    }
    let first = |fault: fn(&Chain) -> bool| done.iter().find(|(_, chain)| fault(chain)).map(|(rule, _)| rule);
    let finding = |fault, text| Finding { fault, place: None, text };
    let long = first(|chain| chain.height > MAX_CHAIN)
        .map(|rule| finding(Fault::Size, format!("`{rule}` needs a chain of more than {MAX_CHAIN} rules")));
    let large = first(|chain| chain.products > MAX_PRODUCTS)
        .map(|rule| finding(Fault::Size, format!("`{rule}` multiplies computed numbers more than {MAX_PRODUCTS} times")));
    let looped = left.iter().map(|rule| finding(Fault::Recursion, format!("`{rule}` needs itself, or a rule that does"))).take(8);
    let findings = long.into_iter().chain(large).chain(looped).collect();
    let feed = done.into_iter().filter(|(_, chain)| chain.products > 0).map(|(rule, chain)| (rule.to_owned(), chain.products)).collect();
    (feed, findings)
}

/// What stands on a rule's shoulders: how long its longest chain is, and how many products feed it.
#[derive(Clone, Copy)]
struct Chain {
    height: usize,
    products: u64,
}

impl Chain {
    fn over(below: &[(Self, u64)], own: u64) -> Self {
        let height = 1 + below.iter().map(|(chain, _)| chain.height).max().unwrap_or(0);
        let products = below.iter().fold(own, |sum, (chain, times)| sum.saturating_add(chain.products.saturating_mul(*times)));
        Self { height, products }
    }
}
