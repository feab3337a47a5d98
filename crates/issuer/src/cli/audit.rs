//! `sekisho-issuer audit`: the audit log's chain checked, and its records written out (S15).

use crate::audit::{Broken, Head, NotARecord, Record, Verifier, from_line, to_line};
use crate::consistency::{self, Contradictions};
use crate::secret::ServiceSecret;
use crate::store::{self, OpenError, Store, StoreError};
use sekisho_config::issuer as configuration;
use sekisho_lifecycle::ContractId;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use sekisho_runtime::standard_output::{Reader, say, take};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Exit code of a log that is not whole.
const BROKEN: u8 = 1;
/// Exit code of wrong usage, or of what cannot be read.
const UNUSABLE: u8 = 2;

/// Records read at a time: some 300 KiB.
const PAGE: u32 = 500;

/// Octets of a line of an export. The longest texts of an entry are of a request, which is smaller.
const MOST_LINE_BYTES: u64 = 1 << 20;

/// Check the audit log, or write it out.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(Verify),
    Export(Export),
}

/// Check that no record of the audit log was changed, removed, moved or put in, and that the store's state is what the
/// log says: who was revoked is, and every certificate, status and user has the records that made it.
///
/// Prints how many records there are and the head, SEQUENCE:HASH. Keep the head elsewhere and give it back with --head:
/// records that were cut off the end leave a chain that is whole, and where the rows that came of them were set back too,
/// only the head tells.
///
/// Exit code 0: whole; 1: broken, with the first record where it shows; 2: wrong usage or unreadable input.
#[derive(Debug, clap::Args)]
struct Verify {
    /// The issuer's configuration, whose store is read.
    #[arg(long, value_name = "FILE", required_unless_present = "file", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// An export in place of the store: the whole log, of no single contract.
    #[arg(long, value_name = "FILE", requires = "secret_file")]
    file: Option<PathBuf>,
    /// The service's secret, for --file.
    #[arg(long, value_name = "FILE", requires = "file")]
    secret_file: Option<PathBuf>,
    /// The head that --file begins after: that of an earlier verification. The log's beginning when absent.
    #[arg(long, value_name = "SEQUENCE:HASH", requires = "file")]
    after: Option<Head>,
    /// A head of an earlier verification: the log must go through it.
    #[arg(long, value_name = "SEQUENCE:HASH")]
    head: Option<Head>,
}

/// Write the records to standard output, the oldest first: a JSON object a line with sequence, hash and the entry.
#[derive(Debug, clap::Args)]
struct Export {
    /// The issuer's configuration, whose store is read.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The first record's number.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    from: u64,
    /// Only records about this contract. Such an export cannot be verified: the chain goes through all.
    #[arg(long, value_name = "ID", value_parser = contract)]
    contract: Option<ContractId>,
    /// How records are written.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// One JSON object a line.
    Jsonl,
}

/// Why there is no answer, or a bad one.
#[derive(Debug)]
enum Failure {
    /// The log is not whole.
    Broken(Broken),
    /// The record of that number cannot be read: it was changed into what none is.
    NoRecord(u64, String),
    /// The store does not go on with it: its end was changed, or cut off, or another secret made it.
    End(OpenError),
    /// The chain is whole, and the rows beside it are not what it says.
    State(Contradictions),
    /// Something cannot be read or written.
    Unusable(String),
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let result = match &arguments.command {
        Command::Verify(arguments) => verify(arguments),
        Command::Export(arguments) => export(arguments),
    };
    match result {
        Ok(said) => say(said, ExitCode::SUCCESS),
        Err(failure) => {
            eprintln!("sekisho-issuer audit: {failure}");
            let broken = !matches!(failure, Failure::Unusable(_));
            ExitCode::from(if broken { BROKEN } else { UNUSABLE })
        }
    }
}

fn verify(arguments: &Verify) -> Result<String, Failure> {
    let start = arguments.after.unwrap_or(Head::START);
    // What comes before the first record that is read is not looked at: a head there would be believed unseen.
    if arguments.head.is_some_and(|known| known.sequence <= start.sequence && known != start) {
        return Err(Failure::Unusable("--head must be after the head given with --after".to_owned()));
    }
    let head = match (&arguments.config, &arguments.file, &arguments.secret_file) {
        (Some(config), _, _) => {
            with_store(config, async |store, secret| verify_store(store, verifier(arguments, secret)).await)?
        }
        (None, Some(file), Some(secret)) => {
            let secret = load_secret(secret)?;
            let export = File::open(file).map_err(|error| Failure::unusable(file, error))?;
            verify_lines(BufReader::new(export), verifier(arguments, &secret))?
        }
        _ => return Err(Failure::Unusable("give --config, or --file and --secret-file".to_owned())),
    };
    let count = head.sequence - start.sequence;
    Ok(format!("{count} records, none of them changed, removed, moved or put in\nhead {head}\n"))
}

fn verifier<'a>(arguments: &Verify, secret: &'a ServiceSecret) -> Verifier<'a> {
    let verifier = Verifier::after(secret, arguments.after.unwrap_or(Head::START));
    match arguments.head {
        Some(known) => verifier.knowing(known),
        None => verifier,
    }
}

/// Writes them as they are read; there is nothing more to be said.
fn export(arguments: &Export) -> Result<String, Failure> {
    let Format::Jsonl = arguments.format;
    let mut output = BufWriter::new(io::stdout().lock());
    with_store(&arguments.config, async |store, _| {
        export_store(store, arguments.from, arguments.contract.as_ref(), &mut output).await
    })?;
    take(output.flush()).map_err(unwritten)?;
    Ok(String::new())
}

fn unwritten(error: io::Error) -> Failure {
    Failure::Unusable(format!("standard output: {error}"))
}

/// Every record of a store, to the end, and whether the rows beside them are what they say: both ways.
async fn verify_store(store: &dyn Store, mut verifier: Verifier<'_>) -> Result<Head, Failure> {
    let (now, mut found) = (clock::now(), Contradictions::default());
    verify_records(store, &mut verifier, now, &mut found).await?;
    consistency::of_state(store, now, &mut found).await.map_err(unreadable)?;
    // What an issuer wrote meanwhile accounted for rows too.
    verify_records(store, &mut verifier, now, &mut found).await?;
    let head = verifier.finish().map_err(Failure::Broken)?;
    if found.is_empty() { Ok(head) } else { Err(Failure::State(found)) }
}

/// The records from where the verifier is to the end.
async fn verify_records(
    store: &dyn Store,
    verifier: &mut Verifier<'_>,
    now: Timestamp,
    found: &mut Contradictions,
) -> Result<(), Failure> {
    loop {
        let next = verifier.head().sequence.saturating_add(1);
        let records = page(store, next).await?;
        if records.is_empty() {
            return Ok(());
        }
        records.iter().try_for_each(|record| verifier.push(record)).map_err(Failure::Broken)?;
        for record in &records {
            consistency::of_record(store, record, now, found).await.map_err(unreadable)?;
        }
    }
}

fn unreadable(error: StoreError) -> Failure {
    Failure::Unusable(error.to_string())
}

/// Every line of an export, to the end.
fn verify_lines(mut export: impl BufRead, mut verifier: Verifier<'_>) -> Result<Head, Failure> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut export).take(MOST_LINE_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::Unusable(error.to_string()))? == 0 {
            return verifier.finish().map_err(Failure::Broken);
        }
        let next = verifier.head().sequence.saturating_add(1);
        let no_record = |why: String| Failure::NoRecord(next, why);
        let line = std::str::from_utf8(&line).map_err(|error| no_record(error.to_string()))?;
        let line = line.strip_suffix('\n').ok_or_else(|| no_record("its line does not end".to_owned()))?;
        let record = from_line(line).map_err(|error: NotARecord| no_record(error.to_string()))?;
        verifier.push(&record).map_err(Failure::Broken)?;
    }
}

async fn export_store(
    store: &dyn Store,
    from: u64,
    contract: Option<&ContractId>,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let mut next = from.max(1);
    loop {
        let records = page(store, next).await?;
        let Some(last) = records.last() else { return Ok(()) };
        next = last.sequence.saturating_add(1);
        let wanted = |record: &&Record| contract.is_none_or(|contract| record.entry.target.contract() == contract);
        for record in records.iter().filter(wanted) {
            if take(writeln!(output, "{}", to_line(record))).map_err(unwritten)? == Reader::WentAway {
                return Ok(());
            }
        }
    }
}

/// Records from a number on. What cannot be read is looked for one by one, so that it is named.
async fn page(store: &dyn Store, next: u64) -> Result<Vec<Record>, Failure> {
    match store.audit(next, PAGE).await {
        Ok(records) => Ok(records),
        Err(StoreError::Corrupt(_)) => match store.audit(next, 1).await {
            Ok(records) => Ok(records),
            Err(StoreError::Corrupt(why)) => Err(Failure::NoRecord(next, why.to_string())),
            Err(error) => Err(Failure::Unusable(error.to_string())),
        },
        Err(error) => Err(Failure::Unusable(error.to_string())),
    }
}

/// Opens the store of a configuration, does the work and closes it.
fn with_store<T>(
    config: &Path,
    work: impl AsyncFnOnce(&dyn Store, &ServiceSecret) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let config = configuration::load(config).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        Failure::Unusable(lines.join("\nsekisho audit: "))
    })?;
    let secret = Arc::new(load_secret(&config.issuer.secret_file.value)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unusable(error.to_string()))?;
    runtime.block_on(async {
        let opened = store::open_to_read(&config.store, Arc::clone(&secret)).await;
        let store = opened.map_err(|error| match error {
            OpenError::Audit(_) | OpenError::Head | OpenError::Store(StoreError::Corrupt(_)) => Failure::End(error),
            error => Failure::Unusable(error.to_string()),
        })?;
        let result = work(&*store, &secret).await;
        store.close().await;
        result
    })
}

fn load_secret(file: &Path) -> Result<ServiceSecret, Failure> {
    ServiceSecret::load(file).map_err(|error| Failure::unusable(file, error))
}

fn contract(text: &str) -> Result<ContractId, String> {
    ContractId::new(text).ok_or_else(|| "not a contract's ID: 1 to 64 visible ASCII characters".to_owned())
}

impl Failure {
    fn unusable(file: &Path, error: impl fmt::Display) -> Self {
        Self::Unusable(format!("{}: {error}", file.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(broken) => write!(f, "the log is broken: {broken}"),
            Self::NoRecord(sequence, why) => write!(f, "the log is broken: record {sequence} cannot be read: {why}"),
            Self::End(error) => write!(f, "the log is broken: {error}"),
            Self::State(found) => {
                write!(f, "the log is whole and the state is not what it says, {} times", found.count())?;
                found.first().iter().try_for_each(|one| write!(f, "\nsekisho audit: {one}"))
            }
            Self::Unusable(why) => f.write_str(why),
        }
    }
}
