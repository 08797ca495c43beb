//! S11: the cost of monitoring. The same backlog with and without a client that scrapes the metrics five times a second
//! and has the page open, and the time of each scrape meanwhile.

use super::contender::{Contender, ours};
use super::field::{Field, TARGETS};
use super::mount::Mount;
use super::statistics::{Ratio, median, millis, percentile, rate};
use super::study::Bench;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The scrape interval, far shorter than in practice.
const EVERY: Duration = Duration::from_millis(200);

/// The result of a monitored backlog.
struct Looked {
    took: Duration,
    scrapes: Vec<Duration>,
}

impl Bench {
    /// S11: a backlog with and without scrapes.
    pub(super) fn scrapes(&mut self, mount: &Mount) -> io::Result<()> {
        if !self.wants("S11: scraped") {
            return Ok(());
        }
        let files = self.size.files;
        let rounds = self.rounds(mount, "S11: scraped", &[true, false], |is_scraped| {
            if is_scraped {
                return self.looked_at(mount.path(), files);
            }
            let took = self.backlog(mount.path(), Contender::External, "noop", files)?;
            Ok(Looked { took, scrapes: Vec::new() })
        })?;
        let times = |at: usize| rounds[at].iter().map(|looked| looked.took).collect::<Vec<_>>();
        let [looked_at, alone] = [times(0), times(1)];
        let scrapes: Vec<Duration> = rounds[0].iter().flat_map(|looked| looked.scrapes.clone()).collect();
        self.row([
            &format!("S11: {files} waiting, scraped 5 times a second"),
            mount.label,
            &format!(
                "{:.0}/s; a scrape p50 {:.1} ms, p99 {:.1} ms",
                rate(files, median(&looked_at)),
                millis(median(&scrapes)),
                millis(percentile(&scrapes, 99))
            ),
            &format!("not scraped: {:.0}/s", rate(files, median(&alone))),
            &Ratio::of(&alone, &looked_at).to_string(),
            "0.98, a scrape below 100 ms",
        ]);
        Ok(())
    }

    fn looked_at(&self, place: &Path, files: usize) -> io::Result<Looked> {
        let field = Field::new(place, &self.porches)?;
        field.fill(files, TARGETS)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let begin = Instant::now();
        let mut daemon = ours(&field, &self.builds.now, &field.porch("noop"))
            .arg("-once")
            .arg("-listen")
            .arg(address.to_string())
            .arg("-open-page")
            .spawn()?;
        let mut page = connect(address)?;
        page.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let ended = AtomicBool::new(false);
        let (status, took, scrapes) = std::thread::scope(|scope| {
            let scraper = scope.spawn(|| {
                let mut scrapes = Vec::new();
                while !ended.load(Ordering::Relaxed) {
                    // A scrape that ends in the middle means that the daemon ended.
                    scrapes.extend(scrape(address).ok());
                    std::thread::sleep(EVERY); // Between two scrapes.
                }
                scrapes
            });
            let status = daemon.wait();
            let took = begin.elapsed();
            ended.store(true, Ordering::Relaxed);
            (status, took, scraper.join().unwrap_or_default())
        });
        if status?.success() {
            Ok(Looked { took, scrapes })
        } else {
            Err(io::Error::other("the daemon failed"))
        }
    }
}

/// Connects to the daemon, which needs a moment to listen.
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect(address) {
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)), // Nothing announces the listening.
            other => return other,
        }
    }
}

fn scrape(address: SocketAddr) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    if text.contains("conductor_files_processed_total") {
        Ok(begin.elapsed())
    } else {
        Err(io::Error::other(text))
    }
}
