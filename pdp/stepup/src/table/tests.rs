//! Bounds and expiry of a table.

use super::*;

fn key(n: usize) -> SecretDigest {
    SecretDigest::of(&n.to_string())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn table() -> Table<&'static str, usize> {
    let mut table = Table::new(Seconds(10), 4);
    for n in 0..4 {
        table.insert(key(n), "alice", n, at(0)).unwrap();
    }
    table
}

#[track_caller]
fn check_left(table: &mut Table<&'static str, usize>, expected: &[usize]) {
    let left: Vec<_> = (0..9).filter(|n| table.find(key(*n), at(0)).is_some()).collect();
    assert_eq!(left, expected);
    assert_eq!((table.rows.len(), table.order.len()), (left.len(), left.len()));
    assert_eq!(table.groups.values().map(Vec::len).sum::<usize>(), left.len());
}

#[test]
fn a_full_table_takes_nothing_until_rows_expire() {
    let mut table = table();
    assert_eq!(table.insert(key(4), "bob", 4, at(9)), Err(Full));
    check_left(&mut table, &[0, 1, 2, 3]);
    table.insert(key(4), "bob", 4, at(10)).unwrap();
    check_left(&mut table, &[4]);
    assert_eq!(table.groups.len(), 1);
}

#[test]
fn a_row_is_gone_at_its_expiry() {
    let mut table = table();
    assert_eq!(table.find(key(1), at(9)), Some((&mut 1, at(10))));
    assert_eq!(table.find(key(1), at(10)), None);
    assert_eq!(table.take(key(1), at(10)), None);
    assert_eq!(table.take(key(1), at(9)), None, "what was taken too late does not come back");
    assert_eq!(table.take(key(2), at(9)), Some(2));
    assert_eq!(table.take(key(2), at(9)), None);
    check_left(&mut table, &[0, 3]);
}

#[test]
fn the_oldest_that_count_go_first() {
    let mut table = table();
    table.leave(&"alice", 1, |n| n % 2 == 0);
    check_left(&mut table, &[1, 2, 3]);
    table.leave(&"bob", 0, |_| true);
    table.leave(&"alice", 2, |_| true);
    check_left(&mut table, &[2, 3]);
    table.leave(&"alice", 0, |_| true);
    check_left(&mut table, &[]);
}

#[test]
fn removed_rows_leave_nothing_behind() {
    let mut table: Table<&str, usize> = Table::new(Seconds(10), 2);
    for n in 0..1_000 {
        table.insert(key(n), "alice", n, at(0)).unwrap();
        table.take(key(n), at(0)).unwrap();
    }
    check_left(&mut table, &[]);
    assert!(table.groups.is_empty());
}
