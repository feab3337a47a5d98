use super::*;
use pingora_core::protocols::l4::stream::Stream as Transport;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

/// What a connection's other end is held by.
type Far = TcpStream;

struct Server {
    listener: TcpListener,
    peer: HttpPeer,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = HttpPeer::new(listener.local_addr().unwrap(), false, String::new());
        Self { listener, peer }
    }

    async fn connect(&self) -> (Stream, Far) {
        let near = TcpStream::connect(self.listener.local_addr().unwrap()).await.unwrap();
        (Box::new(Transport::from(near)), self.listener.accept().await.unwrap().0)
    }
}

const LONG: Duration = Duration::from_secs(60);

async fn until(condition: impl Fn() -> bool) {
    let mut rounds = 0;
    while !condition() {
        rounds += 1;
        assert!(rounds < 2_000, "waited in vain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_last_one_kept_is_the_first_one_taken_and_only_for_its_peer() {
    let (server, other) = (Server::start().await, Server::start().await);
    let idle = Idle::new(8);
    let ((first, _far), (second, _further)) = (server.connect().await, server.connect().await);
    let (older, newer) = (first.id(), second.id());
    idle.put(&server.peer, first, LONG);
    idle.put(&server.peer, second, LONG);
    assert!(idle.take(&other.peer).is_none());
    assert_eq!(idle.take(&server.peer).unwrap().id(), newer);
    assert_eq!(idle.take(&server.peer).unwrap().id(), older);
    assert!(idle.take(&server.peer).is_none());
}

#[tokio::test]
async fn one_that_was_closed_or_said_something_unasked_is_never_taken() {
    let server = Server::start().await;
    let idle = Idle::new(8);
    for says in ["", "HTTP/1.1 200 OK\r\n"] {
        let near = TcpStream::connect(server.listener.local_addr().unwrap()).await.unwrap();
        let mut far = server.listener.accept().await.unwrap().0;
        far.write_all(says.as_bytes()).await.unwrap();
        let far = (!says.is_empty()).then_some(far);
        near.readable().await.unwrap();
        idle.put(&server.peer, Box::new(Transport::from(near)), LONG);
        assert!(idle.take(&server.peer).is_none(), "{says:?}");
        drop(far);
    }
}

#[tokio::test]
async fn all_end_by_themselves_and_the_task_that_looks_after_them_too() {
    let server = Server::start().await;
    let idle = Idle::new(8);
    for _ in 0..2 {
        let (near, mut far) = server.connect().await;
        idle.put(&server.peer, near, Duration::from_millis(1));
        // Its end arrives without anybody asking for it.
        assert_eq!(tokio::io::AsyncReadExt::read(&mut far, &mut [0; 1]).await.unwrap(), 0);
        until(|| !idle.lock().watched).await;
        assert!(idle.lock().by_peer.is_empty());
    }
}

#[tokio::test]
async fn where_there_is_no_room_the_one_that_waits_longest_ends_whoever_it_belongs_to() {
    let (server, other) = (Server::start().await, Server::start().await);
    let idle = Idle::new(2);
    let (oldest, mut gone) = server.connect().await;
    idle.put(&server.peer, oldest, LONG);
    let ((older, _far), (newer, _further)) = (other.connect().await, other.connect().await);
    idle.put(&other.peer, older, LONG);
    idle.put(&other.peer, newer, LONG);
    assert_eq!(tokio::io::AsyncReadExt::read(&mut gone, &mut [0; 1]).await.unwrap(), 0);
    assert!(idle.take(&server.peer).is_none());
    assert!(idle.take(&other.peer).is_some() && idle.take(&other.peer).is_some());
    assert_eq!(idle.lock().count, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn none_is_lost_between_two_requests() {
    let server = Server::start().await;
    let idle = Idle::new(8);
    let (near, _far) = server.connect().await;
    idle.put(&server.peer, near, LONG);
    for round in 0..20_000 {
        let (idle, peer) = (idle.clone(), server.peer.clone());
        let used = tokio::spawn(async move {
            let stream = idle.take(&peer)?;
            idle.put(&peer, stream, LONG);
            Some(())
        });
        assert!(used.await.unwrap().is_some(), "lost in round {round}");
    }
}
