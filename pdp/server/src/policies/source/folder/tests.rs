//! Changes of a folder are told by the system; the poll of these tests is an hour.

use std::fs;

use super::*;
use crate::policies::pace::Saw;

const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_secs(20);

fn opened(folder: &Path) -> (Folder, Arc<Pace>) {
    let pace = Arc::new(Pace::new(HOUR));
    let mut opened = Folder::new(folder.to_owned(), Arc::clone(&pace));
    assert!(matches!(opened.look(), Look::Moving));
    assert!(matches!(opened.look(), Look::Offer(_)));
    pace.looked(Saw::Still);
    (opened, pace)
}

async fn is_told(pace: &Pace) {
    tokio::time::timeout(SOON, pace.due()).await.unwrap();
    pace.looked(Saw::Still);
}

#[tokio::test]
async fn a_change_wakes_a_look() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/a.rego"), "one").unwrap();
    let (mut opened, pace) = opened(folder.path());
    fs::write(folder.path().join("sub/a.rego"), "two").unwrap();
    is_told(&pace).await;
    assert!(matches!(opened.look(), Look::Moving));
    assert!(matches!(opened.look(), Look::Offer(_)));
}

#[tokio::test]
async fn a_folder_in_the_place_of_another_is_listened_to() {
    let above = tempfile::tempdir().unwrap();
    let (at, next) = (above.path().join("policy"), above.path().join("next"));
    for folder in [&at, &next] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("a.rego"), folder.to_str().unwrap()).unwrap();
    }
    let (mut opened, pace) = opened(&at);
    fs::remove_dir_all(&at).unwrap();
    fs::rename(&next, &at).unwrap();
    is_told(&pace).await;
    while !matches!(opened.look(), Look::Offer(_)) {}
    fs::write(at.join("a.rego"), "three").unwrap();
    is_told(&pace).await;
    while !matches!(opened.look(), Look::Offer(_)) {}
}

#[test]
fn what_the_looks_do_themselves_is_no_change() {
    assert!(!changes(EventKind::Access(AccessKind::Open(AccessMode::Any))));
    assert!(!changes(EventKind::Access(AccessKind::Close(AccessMode::Read))));
    assert!(changes(EventKind::Access(AccessKind::Close(AccessMode::Write))));
    assert!(changes(EventKind::Any));
}
