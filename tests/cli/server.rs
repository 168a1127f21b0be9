//! A server that is really there, is stopped, and comes back.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// An answer: status and body.
#[derive(Clone)]
pub struct Answer(u16, String);

impl Answer {
    /// One of these.
    pub fn of(status: u16, body: &str) -> Self {
        Self(status, body.to_owned())
    }
}

/// An HTTP server on an address of the loopback network that is this process's own: while it is stopped nobody else
/// takes its port, and no connection to it can meet itself.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stopping: AtomicBool,
    /// Every answer.
    answer: Mutex<Answer>,
    /// How many requests were answered.
    answered: AtomicUsize,
}

impl Server {
    /// Starts one that says 200 and `ok`.
    pub fn start() -> Self {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let listener = TcpListener::bind((Ipv4Addr::new(127, 77, high, low), 0)).expect("loopback");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            answer: Mutex::new(Answer::of(200, "ok\n")),
            answered: AtomicUsize::new(0),
        });
        let mut server = Self { address, shared, thread: None };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        self.thread = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopping.load(Ordering::SeqCst) {
                    return;
                }
                answer(&stream.expect("a connection"), &shared);
            }
        }));
    }

    /// Stops it: connections are refused from now on.
    pub fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is to stop.
        drop(TcpStream::connect(self.address).expect("it listens"));
        self.thread.take().expect("it runs").join().expect("it ends");
        // A process that another test is starting has all our descriptors until it executes its program.
        let started = Instant::now();
        while TcpStream::connect(self.address).is_ok() {
            assert!(started.elapsed() < Duration::from_secs(60), "nobody listens any more");
            std::thread::yield_now();
        }
    }

    /// Starts it again, at the same address.
    pub fn come_back(&mut self) {
        self.shared.stopping.store(false, Ordering::SeqCst);
        // The standard library sets SO_REUSEADDR, so what lingers of old connections is in nobody's way.
        self.serve(TcpListener::bind(self.address).expect("the port is still free"));
    }

    /// What it says from now on.
    pub fn answers(&self, answer: Answer) {
        *self.shared.answer.lock().expect("no panic") = answer;
    }

    /// Where it is, for curl.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests it has answered.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.thread.is_some() && !std::thread::panicking() {
            self.stop();
        }
    }
}

fn answer(mut stream: &TcpStream, shared: &Shared) {
    let mut lines = BufReader::new(stream).lines();
    while lines.next().is_some_and(|line| !line.expect("a request").is_empty()) {}
    let Answer(status, body) = shared.answer.lock().expect("no panic").clone();
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .expect("a client");
    shared.answered.fetch_add(1, Ordering::SeqCst);
}
