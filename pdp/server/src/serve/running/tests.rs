//! What ends a decision point, and what its socket replaces.

use super::*;

async fn ended(door: impl Future<Output = ()> + Send + 'static, look: impl Future<Output = ()> + Send + 'static) -> Result<(), String> {
    let (mut doors, mut looks) = (JoinSet::new(), JoinSet::new());
    doors.spawn(std::future::pending());
    doors.spawn(door);
    looks.spawn(async {});
    looks.spawn(look);
    tokio::time::timeout(Duration::from_secs(20), end(&mut doors, &mut looks)).await.expect("it goes on")
}

#[tokio::test]
async fn it_does_not_go_on_without_a_door_or_without_a_look() {
    assert_eq!(ended(async {}, std::future::pending()).await.unwrap_err(), "a listener ended by itself");
    assert_eq!(ended(async { panic!("door") }, std::future::pending()).await.unwrap_err(), "a listener ended by itself");
    assert_eq!(ended(std::future::pending(), async { panic!("look") }).await.unwrap_err(), "a background task ended by itself");
}

#[tokio::test]
async fn the_socket_replaces_a_socket_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(bind_socket(&path).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(bind_socket(&path).unwrap());
    let file = folder.path().join("precious");
    std::fs::write(&file, "kept").unwrap();
    assert!(bind_socket(&file).unwrap_err().contains("no socket"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(bind_socket(&link).is_err());
}
