use super::*;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

fn lines_of(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))).collect()
}

fn open_file(path: &Path) -> RecordLog {
    RecordLog::open(&LogTarget::File(path.to_path_buf())).unwrap()
}

#[test]
fn a_record_is_one_line_whatever_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open_file(&path);
    let records = [
        json!({ "cn": "a\nb\r\u{0}\u{1b}[31m\"\\", "name": "利用者\u{2028}" }),
        json!({ "path": "/\n{\"reason\":\"forged\"}\n" }),
    ];
    records.iter().for_each(|record| log.queue(Weight::Access, record));
    log.flush();
    assert_eq!(lines_of(&path), records);
    assert_eq!(log.dropped(), 0);
}

#[test]
fn records_of_many_threads_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open_file(&path);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            scope.spawn(move || {
                (0..500).for_each(|number| log.queue(Weight::Access, &json!([thread, number, "x".repeat(number)])))
            });
        }
    });
    log.flush();
    let lines = lines_of(&path);
    assert_eq!((lines.len(), log.dropped()), (4_000, 0));
    for thread in 0..8 {
        let of_thread = lines.iter().filter(|line| line[0] == thread).map(|line| line[1].as_u64().unwrap());
        assert!(of_thread.eq(0..500), "the order of one thread's records is kept");
    }
}

#[test]
fn a_renamed_file_is_left_on_request_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let log = open_file(&path);
    log.queue(Weight::Access, &1);
    log.flush();
    std::fs::rename(&path, &old).unwrap();
    log.queue(Weight::Access, &2);
    log.flush();
    log.reopen();
    log.flush();
    log.queue(Weight::Access, &3);
    log.flush();
    assert_eq!(lines_of(&old), [1, 2]);
    assert_eq!(lines_of(&path), [3]);
}

#[test]
fn a_file_that_cannot_be_opened_again_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let log = open_file(&path);
    std::fs::rename(&path, &old).unwrap();
    std::fs::create_dir(&path).unwrap();
    log.reopen();
    log.flush();
    log.queue(Weight::Access, &1);
    log.flush();
    assert_eq!(lines_of(&old), [1]);
    assert_eq!(log.dropped(), 0);
}

#[test]
fn dropping_the_log_writes_what_is_queued_and_appends_to_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    for round in 0..2 {
        let log = open_file(&path);
        (0..100).for_each(|number| log.queue(Weight::Access, &(round * 100 + number)));
    }
    assert_eq!(lines_of(&path), (0..200).collect::<Vec<_>>());
}

#[test]
fn a_log_file_is_not_for_every_user_of_the_machine() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    drop(open_file(&path));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
}

#[test]
fn a_log_that_is_off_takes_everything_and_does_nothing() {
    let log = RecordLog::open(&LogTarget::Off).unwrap();
    log.queue(Weight::Access, &1);
    log.reopen();
    log.flush();
    assert_eq!(log.dropped(), 0);
}

#[test]
fn a_file_in_a_folder_that_is_not_there_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let error = RecordLog::open(&LogTarget::File(folder.path().join("none/access.log"))).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_full_disk_loses_records_that_are_counted() {
    let log = open_file(Path::new("/dev/full"));
    log.queue(Weight::Access, &1);
    log.queue(Weight::Access, &2);
    log.flush();
    log.queue(Weight::Access, &3);
    log.flush();
    assert_eq!(log.dropped(), 3);
}

#[test]
fn a_record_that_is_not_json_is_counted() {
    let log = open_file(Path::new("/dev/null"));
    // JSON has no object whose keys are lists.
    log.queue(Weight::Access, &std::collections::HashMap::from([(vec![1], 2)]));
    log.flush();
    assert_eq!(log.dropped(), 1);
}

/// A sink that tells when it is asked to write, and then waits for an answer.
struct Slow {
    asked: Sender<()>,
    answers: Receiver<io::Result<usize>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Sink for Slow {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.asked.send(()).unwrap();
        let count = self.answers.recv().unwrap()?.min(octets.len());
        self.written.lock().unwrap().extend_from_slice(&octets[..count]);
        Ok(count)
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Bench {
    log: RecordLog,
    asked: Receiver<()>,
    answer: Sender<io::Result<usize>>,
    written: Arc<Mutex<Vec<u8>>>,
}

fn slow(capacity: usize) -> Bench {
    let (asked_sender, asked) = channel();
    let (answer, answers) = channel();
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = Slow { asked: asked_sender, answers, written: written.clone() };
    Bench { log: RecordLog::start(Box::new(sink), capacity).unwrap(), asked, answer, written }
}

fn text(written: &Mutex<Vec<u8>>) -> String {
    String::from_utf8(written.lock().unwrap().clone()).unwrap()
}

#[test]
fn a_full_queue_drops_and_counts_and_nobody_waits() {
    let bench = slow(8);
    bench.log.queue(Weight::Access, &1);
    bench.asked.recv().unwrap();
    // The writer is stuck with the first; four records of two octets fill the queue. That this returns is the point.
    (2..=9).for_each(|number| bench.log.queue(Weight::Access, &number));
    assert_eq!(bench.log.dropped(), 4);
    bench.answer.send(Ok(100)).unwrap();
    bench.answer.send(Ok(100)).unwrap();
    bench.log.flush();
    assert_eq!(text(&bench.written), "1\n2\n3\n4\n5\n");
    // There is room again.
    bench.log.queue(Weight::Access, &6);
    bench.answer.send(Ok(100)).unwrap();
    bench.log.flush();
    assert!(text(&bench.written).ends_with("5\n6\n"));
    assert_eq!(bench.log.dropped(), 4);
}

#[test]
fn short_writes_go_on_where_they_stopped() {
    let bench = slow(100);
    bench.log.queue(Weight::Access, &"abc");
    for _ in 0..6 {
        bench.answer.send(Ok(1)).unwrap();
    }
    bench.log.flush();
    assert_eq!(text(&bench.written), "\"abc\"\n");
    assert_eq!(bench.log.dropped(), 0);
}

#[test]
fn a_line_that_was_cut_is_not_joined_to_the_next() {
    let bench = slow(100);
    bench.log.queue(Weight::Access, &"abc");
    bench.answer.send(Ok(2)).unwrap();
    bench.answer.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    bench.log.flush();
    assert_eq!(bench.log.dropped(), 1);
    bench.log.queue(Weight::Access, &"def");
    bench.answer.send(Ok(1)).unwrap();
    bench.answer.send(Ok(100)).unwrap();
    bench.log.flush();
    assert_eq!(text(&bench.written), "\"a\n\"def\"\n");
    assert_eq!(bench.log.dropped(), 1);
}

#[test]
fn who_was_accepted_blocked_or_cut_is_never_dropped_before_what_strangers_do() {
    let bench = slow(12);
    bench.log.queue(Weight::Refusal, &0);
    bench.asked.recv().unwrap();
    // The writer is stuck with the first; six records of two octets fill the queue.
    (1..=3).for_each(|number| bench.log.queue(Weight::Refusal, &number));
    (4..=5).for_each(|number| bench.log.queue(Weight::Access, &number));
    bench.log.queue(Weight::Decision, &6);
    // No room for what weighs as little; three refusals make room for what weighs more.
    bench.log.queue(Weight::Refusal, &7);
    assert_eq!(bench.log.dropped(), 1);
    bench.log.queue(Weight::Access, &8);
    assert_eq!(bench.log.dropped(), 4);
    [7, 9].iter().for_each(|number| bench.log.queue(Weight::Decision, number));
    // Now accesses do.
    bench.log.queue(Weight::Decision, &1);
    assert_eq!(bench.log.dropped(), 7);
    for _ in 0..2 {
        bench.answer.send(Ok(100)).unwrap();
    }
    bench.log.flush();
    assert_eq!(text(&bench.written), "0\n6\n7\n9\n1\n", "and the order is kept");
}

/// The other end of a pipe that nobody reads until it is told to.
struct Pipe(io::PipeWriter);

impl Sink for Pipe {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut self.0, octets)
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn behind_a_reader_that_does_not_read_every_decision_is_kept() {
    let (mut reader, writer) = io::pipe().unwrap();
    let log = RecordLog::start(Box::new(Pipe(writer)), 1 << 20).unwrap();
    let refusal = json!({ "kind": "authentication", "evidence": "x".repeat(1000) });
    // The pipe, what the writer has in its hands, and the queue are full of refusals many times over.
    for number in 0..10_000 {
        log.queue(Weight::Refusal, &refusal);
        if number % 100 == 0 {
            log.queue(Weight::Decision, &json!({ "kind": "cut", "number": number }));
        }
    }
    assert!(log.dropped() > 5_000);
    let read = std::thread::spawn(move || {
        let mut read = String::new();
        io::Read::read_to_string(&mut reader, &mut read).unwrap();
        read
    });
    drop(log);
    let read = read.join().unwrap();
    let cuts = read.lines().filter(|line| line.contains("cut"));
    let numbers = cuts.map(|line| serde_json::from_str::<Value>(line).unwrap()["number"].as_u64().unwrap());
    assert!(numbers.eq((0..10_000).step_by(100)));
}

/// A file on a disk that is full after some octets.
struct Filling {
    file: Box<dyn Sink>,
    left: Arc<Mutex<usize>>,
}

impl Sink for Filling {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut left = self.left.lock().unwrap();
        let count = octets.len().min(*left);
        *left -= count;
        if count == 0 { Err(io::ErrorKind::StorageFull.into()) } else { self.file.write(&octets[..count]) }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file.reopen()
    }

    fn take_back(&mut self, octets: usize) -> bool {
        self.file.take_back(octets)
    }
}

#[test]
fn half_a_record_on_a_full_disk_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let left = Arc::new(Mutex::new(8));
    let log = RecordLog::start(Box::new(Filling { file: file_sink(&path).unwrap(), left: left.clone() }), 100).unwrap();
    for text in ["abc", "def"] {
        log.queue(Weight::Access, &text);
        log.flush();
    }
    assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), log.dropped()), ("\"abc\"\n", 1));
    *left.lock().unwrap() = 100;
    log.queue(Weight::Access, &"ghi");
    log.flush();
    assert_eq!(lines_of(&path), ["abc", "ghi"]);
}

#[test]
fn nothing_is_glued_to_what_an_earlier_process_left_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    std::fs::write(&path, "{\"kind\":\"acc").unwrap();
    let log = open_file(&path);
    log.queue(Weight::Access, &1);
    drop(log);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"kind\":\"acc\n1\n");
    let log = open_file(&path);
    log.queue(Weight::Access, &2);
    drop(log);
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("\n1\n2\n"), "and no empty line after a whole one");
}
