//! A wire that counts what passes, and can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Proxy {
    pub port: u16,
    bytes: Arc<AtomicU64>,
}

impl Proxy {
    /// A wire to `port` that breaks after `cut_after` bytes towards it.
    pub fn start(port: u16, cut_after: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let bytes = Arc::new(AtomicU64::new(0));
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            bytes: bytes.clone(),
        };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let counter = bytes.clone();
                std::thread::spawn(move || carry(back, forth, &counter, u64::MAX));
                let counter = bytes.clone();
                std::thread::spawn(move || carry(client, server, &counter, cut_after));
            }
        });
        proxy
    }

    /// Bytes in both directions, the protocol's own among them.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, counter: &AtomicU64, cut_after: u64) {
    let mut carried = 0;
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        counter.fetch_add(length as u64, Ordering::Relaxed);
        carried += length as u64;
        if carried > cut_after || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other side may have closed already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
