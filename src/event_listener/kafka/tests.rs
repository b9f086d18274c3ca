use super::*;

#[test]
fn the_pause_grows_up_to_five_minutes() {
    let pauses: Vec<u64> = [0, 1, 2, 6, 40].map(|it| pause(it).as_secs()).into();
    assert_eq!(pauses, [5, 10, 20, 300, 300]);
}
