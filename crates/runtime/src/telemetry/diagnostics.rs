//! Log lines: one JSON object a line, written like records are.

use super::bounded;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// What crates that write by `log` put beside the message, where tracing has no fields for it.
const OF_LOG: &str = "log.";

/// `{"timestamp":…,"level":…,"message":…,…,"target":…}`
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut fields = Fields { target: event.metadata().target().to_owned(), named: Vec::new() };
        event.record(&mut fields);
        let line = Line { timestamp, level: event.metadata().level().as_str(), fields };
        let line = bounded::to_json(&line).map_err(|_| fmt::Error)?;
        writer.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)?;
        writer.write_char('\n')
    }
}

struct Line {
    timestamp: String,
    level: &'static str,
    fields: Fields,
}

struct Fields {
    target: String,
    named: Vec<(&'static str, Value)>,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("level", self.level)?;
        // The message first, whatever the order of the macro's arguments.
        let (message, others): (Vec<_>, Vec<_>) = self.fields.named.iter().partition(|(name, _)| *name == "message");
        for (name, value) in message.into_iter().chain(others) {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("target", &self.fields.target)?;
        map.end()
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("log.target", Value::Text(target)) => self.target = target,
            (name, _) if name.starts_with(OF_LOG) => {}
            (name, value) => self.named.push((name.strip_prefix("r#").unwrap_or(name), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Unsigned(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Signed(value));
    }

    /// Durations in whole units come as this; their readers count with 64 bits.
    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, u64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Unsigned));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::bounded::MAX_FIELD_BYTES;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn line_of(log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt().event_format(JsonLines).with_writer(kept.clone()).finish();
        tracing::subscriber::with_default(subscriber, log);
        let line = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        line
    }

    #[test]
    fn numbers_are_numbers_and_the_message_comes_first() {
        let line = line_of(|| {
            let milliseconds = std::time::Duration::from_secs(2).as_millis();
            tracing::info!(milliseconds, ok = true, change = -3, path = %"/a", "published");
        });
        let (time, rest) = line.split_once(r#"","level":"#).unwrap();
        assert!(time.starts_with(r#"{"timestamp":"20"#), "{line}");
        let expected =
            r#""INFO","message":"published","milliseconds":2000,"ok":true,"change":-3,"path":"/a","target":"sekisho"#;
        assert!(rest.starts_with(expected), "{line}");
    }

    #[test]
    fn no_field_of_a_line_is_longer_than_one_of_a_record() {
        let name = "\u{202e}".to_owned() + &"n".repeat(100_000);
        let line = line_of(|| tracing::warn!(name, shown = %name, debug = ?name, "refused {name}"));
        assert!(line.len() < 4 * MAX_FIELD_BYTES + 600, "{}", line.len());
        assert!(!line.contains('\u{202e}') && line.contains("more bytes]"));
    }
}
