//! Tests of the queue of sessions that are about to join.

use std::cell::Cell;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Waker};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::*;

/// Returns the key of a visitor at an address.
fn visitor(last: u32) -> ClientKey {
    ClientKey::Address(IpAddr::from(last.to_be_bytes()))
}

fn queue(at_once: usize) -> Arc<JoinQueue> {
    Arc::new(JoinQueue::new(at_once))
}

fn is_pending(turn: Pin<&mut impl Future>) -> bool {
    turn.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[actix_rt::test]
async fn sessions_are_admitted_in_order_as_turns_end() {
    let (queue, client) = (queue(1), visitor(1));
    let first = queue.turn(&client).await.unwrap();
    let (mut second, mut third) = (pin!(queue.turn(&client)), pin!(queue.turn(&client)));
    assert!(is_pending(second.as_mut()) && is_pending(third.as_mut()));
    assert_eq!(queue.waiting(), 2);
    drop(first);
    let second = second.await.unwrap();
    assert!(is_pending(third.as_mut()));
    drop(second);
    third.await.unwrap();
    assert_eq!(queue.waiting(), 0);
}

#[actix_rt::test]
async fn a_session_that_left_takes_no_turn() {
    let (queue, client) = (queue(1), visitor(1));
    let first = queue.turn(&client).await.unwrap();
    {
        let mut left = pin!(queue.turn(&client));
        assert!(is_pending(left.as_mut()));
    }
    let mut next = pin!(queue.turn(&client));
    assert!(is_pending(next.as_mut()));
    drop(first);
    next.await.unwrap();
    queue.turn(&client).await.unwrap();
}

#[actix_rt::test]
async fn a_session_that_does_not_finish_blocks_no_other() {
    let (queue, client) = (queue(1), visitor(1));
    tokio::time::pause();
    let _unfinished = queue.turn(&client).await.unwrap();
    queue.turn(&client).await.unwrap();
}

#[actix_rt::test]
async fn sessions_beyond_the_bound_are_rejected_as_busy() {
    let (queue, client) = (queue(0), visitor(1));
    let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(queue.turn(&client))).collect();
    for turn in &mut waiting {
        assert!(is_pending(turn.as_mut()));
    }
    assert!(matches!(queue.turn(&client).await, Err(NoTurn::Busy(_))));
    waiting.truncate(WAITING_MAX - 1);
    assert_eq!(queue.waiting(), WAITING_MAX - 1, "a client that left no longer waits");
    queue.close();
    assert!(join_all(waiting).await.iter().all(|turn| matches!(turn, Err(NoTurn::Stopping))));
}

#[actix_rt::test]
async fn sessions_that_come_and_go_take_bounded_memory() {
    let (queue, client) = (queue(0), visitor(1));
    for _ in 0..3 * WAITING_MAX {
        assert!(is_pending(pin!(queue.turn(&client)).as_mut()));
    }
    assert!(queue.state.lock().newcomers.sessions.len() <= WAITING_MAX + 1);
    assert_eq!(queue.waiting(), 0);
}

#[actix_rt::test]
async fn the_wait_of_a_newcomer_is_bounded() {
    let queue = queue(0);
    tokio::time::pause();
    assert!(matches!(queue.turn(&visitor(1)).await, Err(NoTurn::Busy(_))));
    assert_eq!(queue.waiting(), 0);
}

#[actix_rt::test]
async fn returning_clients_join_before_newcomers_and_are_not_sent_away() {
    let (queue, client, newcomer) = (queue(0), visitor(1), visitor(2));
    tokio::time::pause();
    let Err(NoTurn::Busy(pause)) = queue.turn(&client).await else { panic!("the wait is bounded") };
    sleep(pause).await;
    let mut first = pin!(queue.turn(&newcomer));
    assert!(is_pending(first.as_mut()));
    {
        // The connection is lost. The client may try again.
        let mut lost = pin!(queue.turn(&client));
        assert!(is_pending(lost.as_mut()));
    }
    let mut back = pin!(queue.turn(&client));
    assert!(is_pending(back.as_mut()));
    assert!(matches!(first.await, Err(NoTurn::Busy(_))));
    sleep(2 * WAIT_MAX).await;
    assert!(is_pending(back.as_mut()), "it still waits");
    let mut later = pin!(queue.turn(&newcomer));
    assert!(is_pending(later.as_mut()));
    drop(Permit(Some(queue.clone())));
    let turn = back.await.unwrap();
    assert!(is_pending(later.as_mut()));
    drop(turn);
    later.await.unwrap();
}

/// Simulates clients that connect at the same moment, more than can be served within the longest wait, to a hub that
/// serves `at_once` of them at a time, each for `time`. Returns how many times each was sent away, and when the last
/// one had joined.
async fn storm(clients: u32, at_once: usize, time: Duration, key: fn(u32) -> ClientKey) -> (Vec<u32>, Duration) {
    let (queue, started) = (queue(at_once), Instant::now());
    let sent_away: Rc<Vec<Cell<u32>>> = Rc::new((0..clients).map(|_| Cell::new(0)).collect());
    let tasks = (0..clients).map(|client| {
        let (queue, sent_away, key) = (queue.clone(), sent_away.clone(), key(client));
        actix_rt::spawn(async move {
            let _turn = loop {
                match queue.turn(&key).await {
                    Ok(turn) => break turn,
                    Err(NoTurn::Busy(pause)) => {
                        let count = &sent_away[client as usize];
                        count.set(count.get() + 1);
                        sleep(pause).await;
                    }
                    Err(NoTurn::Stopping) => panic!("the hub is not stopping"),
                }
            };
            sleep(time).await;
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    (sent_away.iter().map(Cell::get).collect(), started.elapsed())
}

#[actix_rt::test]
async fn no_client_of_a_storm_is_sent_away_twice() {
    tokio::time::pause();
    // 500 a second: 5,000 join in the first ten seconds. The others are served without a pause of the hub.
    let (sent_away, took) = storm(9_000, 50, Duration::from_millis(100), visitor).await;
    assert!(sent_away.iter().all(|times| *times <= 1));
    assert!(sent_away.iter().sum::<u32>() >= 3_000, "control: some are sent away");
    assert!(took < Duration::from_secs(25), "{took:?}");
    // All behind one address, more than may wait, to a slow hub: the last come back after a minute.
    let (sent_away, took) = storm(12_000, 10, Duration::from_millis(100), |_| visitor(1)).await;
    assert!(sent_away.iter().all(|times| *times <= 1));
    assert!(took < Duration::from_secs(150), "{took:?}");
}
