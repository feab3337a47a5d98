//! [`crate::metrics!`] and [`crate::label!`].

use prometheus::Registry;

/// A declared metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The name in the exposition.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The help text in the exposition.
    pub help: &'static str,
    /// Its labels, in the order of the declaration.
    pub labels: Vec<Label>,
}

/// A label of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name.
    pub name: &'static str,
    /// Every value that it can have; `None` where values come from the configuration or from outside.
    pub values: Option<Vec<&'static str>>,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A total that only grows.
    Counter,
    /// The same in fractions.
    FloatCounter,
    /// A value that a program raises and lowers as it goes; it begins at 0.
    Gauge,
    /// A value that is read at each scrape; absent until it is set.
    Reading,
    /// Observations in buckets.
    Histogram,
}

impl Kind {
    /// The type in the exposition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter | Self::FloatCounter => "counter",
            Self::Gauge | Self::Reading => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The labels of one series, as pairs of name and value.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a>(pub(super) &'a [prometheus::proto::LabelPair]);

impl Series<'_> {
    /// Returns the value of a label, if the series has the label.
    pub fn get(&self, label: &str) -> Option<&str> {
        self.0.iter().find(|pair| pair.name() == label).map(prometheus::proto::LabelPair::value)
    }
}

/// Metrics that are declared together, by [`crate::metrics!`].
pub trait MetricSet: Sized {
    /// Makes the metrics and registers them. Counters and histograms whose labels have known values only begin with
    /// every series at 0: one that appears with its first event has no increase for an alert to see.
    ///
    /// # Errors
    /// A name is not valid, or is taken.
    fn register(registry: &Registry) -> prometheus::Result<Self>;

    /// Returns every declaration, in its order.
    fn declarations() -> Vec<Declaration>;

    /// Removes every series with labels for which `keep` returns `false`.
    fn retain(&self, keep: &dyn Fn(Series<'_>) -> bool);
}

/// Calls `touch` with every combination of the labels' values, if the values of all are known.
pub fn start_at_zero(labels: &[Label], mut touch: impl FnMut(&[&'static str])) {
    let Some(values) = labels.iter().map(|label| label.values.as_deref()).collect::<Option<Vec<_>>>() else { return };
    let mut combinations = vec![Vec::new()];
    for values in values {
        let longer = |combination: &Vec<&'static str>| {
            let combination = combination.clone();
            values.iter().map(move |value| [combination.as_slice(), &[*value]].concat()).collect::<Vec<_>>()
        };
        combinations = combinations.iter().flat_map(longer).collect();
    }
    combinations.iter().for_each(|combination| touch(combination));
}

/// Returns a label's name: that of a keyword is written `r#use`.
pub fn label_name(written: &'static str) -> &'static str {
    written.strip_prefix("r#").unwrap_or(written)
}

/// Declares metrics, and a struct that holds them with one method for each.
///
/// ```
/// use sekisho_runtime::metrics::{MetricSet as _, Registered, exposition};
///
/// sekisho_runtime::label! {
///     /// How a door was left.
///     enum Left {
///         /// It is open.
///         Open = "open",
///         /// It is closed.
///         Closed = "closed",
///     }
/// }
///
/// sekisho_runtime::metrics! {
///     /// Metrics of doors.
///     struct DoorMetrics in "house" {
///         /// Times that a door was used.
///         doors_used_total: Counter[room, left: Left],
///         /// People inside.
///         people: Gauge,
///     }
/// }
///
/// let metrics = Registered::<DoorMetrics>::new()?;
/// metrics.doors_used_total("kitchen", Left::Open).inc();
/// metrics.people().set(2);
/// let text = exposition([metrics.gather()]);
/// assert!(text.contains("house_doors_used_total{left=\"open\",room=\"kitchen\"} 1"));
/// assert_eq!(DoorMetrics::declarations()[0].labels[1].values, Some(vec!["open", "closed"]));
/// # Ok::<_, sekisho_runtime::metrics::prometheus::Error>(())
/// ```
///
/// A value that is not declared does not compile:
///
/// ```compile_fail,E0308
/// sekisho_runtime::label! {
///     /// How a door was left.
///     enum Left {
///         /// It is open.
///         Open = "open",
///     }
/// }
///
/// sekisho_runtime::metrics! {
///     /// Metrics of doors.
///     struct DoorMetrics in "house" {
///         /// Times that a door was used.
///         doors_used_total: Counter[left: Left],
///     }
/// }
///
/// fn count(metrics: &DoorMetrics) {
///     metrics.doors_used_total("ajar").inc();
/// }
/// ```
///
/// A metric's name is the struct's prefix and the field's name; its help is the field's documentation. A label without a
/// type takes any text. A label with a type takes that type's values: an enum with `ALL` and `as_str()`, so that a value
/// that is not declared does not compile. A histogram names its buckets in parentheses. The kinds are those of
/// [`Kind`].
#[macro_export]
macro_rules! metrics {
    (@type Counter) => { $crate::metrics::prometheus::IntCounter };
    (@type Counter $labels:tt) => { $crate::metrics::prometheus::IntCounterVec };
    (@type FloatCounter) => { $crate::metrics::prometheus::Counter };
    (@type Gauge) => { $crate::metrics::prometheus::IntGauge };
    (@type Gauge $labels:tt) => { $crate::metrics::prometheus::IntGaugeVec };
    (@type Reading $($labels:tt)?) => { $crate::metrics::prometheus::IntGaugeVec };
    (@type Histogram) => { $crate::metrics::prometheus::Histogram };
    (@type Histogram $labels:tt) => { $crate::metrics::prometheus::HistogramVec };

    (@make Counter $opts:ident) => { $crate::metrics::prometheus::IntCounter::with_opts($opts)? };
    (@make FloatCounter $opts:ident) => { $crate::metrics::prometheus::Counter::with_opts($opts)? };
    (@make Gauge $opts:ident) => { $crate::metrics::prometheus::IntGauge::with_opts($opts)? };
    (@make Reading $opts:ident) => { $crate::metrics::prometheus::IntGaugeVec::new($opts, &[])? };
    (@make Histogram $opts:ident ($buckets:expr)) => {
        $crate::metrics::prometheus::Histogram::with_opts($crate::metrics!(@buckets $opts $buckets))?
    };
    (@make Histogram $opts:ident [$($label:ident)+] ($buckets:expr)) => {
        $crate::metrics::prometheus::HistogramVec::new(
            $crate::metrics!(@buckets $opts $buckets),
            &[$($crate::metrics::label_name(stringify!($label))),+],
        )?
    };
    (@make $kind:ident $opts:ident [$($label:ident)+]) => {
        <$crate::metrics!(@type $kind [])>::new($opts, &[$($crate::metrics::label_name(stringify!($label))),+])?
    };
    (@buckets $opts:ident $buckets:expr) => {
        $crate::metrics::prometheus::HistogramOpts::from($opts).buckets($buckets.to_vec())
    };

    (@series Counter) => { $crate::metrics::prometheus::IntCounter };
    (@series Gauge) => { $crate::metrics::prometheus::IntGauge };
    (@series Reading) => { $crate::metrics::prometheus::IntGauge };
    (@series Histogram) => { $crate::metrics::prometheus::Histogram };
    (@argument) => { &str };
    (@argument $values:ty) => { $values };
    (@text $label:ident) => { $label };
    (@text $label:ident $values:ty) => { <$values>::as_str($label) };
    (@values) => { None };
    (@values $values:ty) => { Some(<$values>::ALL.iter().map(|value| value.as_str()).collect()) };

    (@method $(#[$doc:meta])+ ($vis:vis) Reading $field:ident) => {
        $(#[$doc])+
        $vis fn $field(&self) -> $crate::metrics::prometheus::IntGauge {
            self.$field.with_label_values::<&str>(&[])
        }
    };
    (@method $(#[$doc:meta])+ ($vis:vis) $kind:ident $field:ident) => {
        $(#[$doc])+
        $vis fn $field(&self) -> &$crate::metrics!(@type $kind) {
            &self.$field
        }
    };
    (@method $(#[$doc:meta])+ ($vis:vis) $kind:ident $field:ident [$($label:ident $(: $values:ty)?),+]) => {
        $(#[$doc])+
        $vis fn $field(&self, $($label: $crate::metrics!(@argument $($values)?)),+) -> $crate::metrics!(@series $kind) {
            self.$field.with_label_values(&[$($crate::metrics!(@text $label $($values)?)),+])
        }
    };

    (@start Counter $field:expr, $labels:expr, $written:tt) => { $crate::metrics!(@touch $field, $labels) };
    (@start Histogram $field:expr, $labels:expr, $written:tt) => { $crate::metrics!(@touch $field, $labels) };
    (@start $kind:ident $field:expr, $labels:expr $(, $written:tt)?) => {};
    (@touch $field:expr, $labels:expr) => {
        $crate::metrics::start_at_zero($labels, |values| {
            let _ = $field.with_label_values(values);
        })
    };

    (@retain $field:expr, $keep:expr) => {};
    (@retain $field:expr, $keep:expr, $written:tt) => {
        $crate::metrics::retain(&$field, $keep)
    };

    (
        $(#[$outer:meta])*
        $vis:vis struct $name:ident in $prefix:literal {
            $(
                $(#[doc = $help:literal])+
                $field:ident: $kind:ident $([$($label:ident $(: $values:ty)?),+ $(,)?])? $(($buckets:expr))?
            ),+ $(,)?
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug)]
        $vis struct $name {
            $($field: $crate::metrics!(@type $kind $([$($label)+])?),)+
        }

        impl $name {
            $($crate::metrics! { @method $(#[doc = $help])+ ($vis) $kind $field $([$($label $(: $values)?),+])? })+
        }

        impl $crate::metrics::MetricSet for $name {
            fn register(registry: &$crate::metrics::prometheus::Registry) -> $crate::metrics::prometheus::Result<Self> {
                $(
                    let opts = $crate::metrics::prometheus::Opts::new(
                        concat!($prefix, "_", stringify!($field)),
                        concat!($($help),+).trim(),
                    );
                    let $field = $crate::metrics!(@make $kind opts $([$($label)+])? $(($buckets))?);
                    registry.register(Box::new($field.clone()))?;
                )+
                let declarations = Self::declarations();
                let mut declared = declarations.iter();
                $(
                    if let Some(_declared) = declared.next() {
                        $crate::metrics!(@start $kind $field, &_declared.labels $(, [$($label)+])?);
                    }
                )+
                Ok(Self { $($field,)+ })
            }

            fn declarations() -> Vec<$crate::metrics::Declaration> {
                vec![$($crate::metrics::Declaration {
                    name: concat!($prefix, "_", stringify!($field)),
                    kind: $crate::metrics::Kind::$kind,
                    help: concat!($($help),+).trim(),
                    labels: vec![$($($crate::metrics::Label {
                        name: $crate::metrics::label_name(stringify!($label)),
                        values: $crate::metrics!(@values $($values)?),
                    }),+)?],
                }),+]
            }

            fn retain(&self, _keep: &dyn Fn($crate::metrics::Series<'_>) -> bool) {
                $($crate::metrics!(@retain self.$field, _keep $(, [$($label)+])?);)+
            }
        }
    };
}

/// Declares an enum whose values are those of a label, with `ALL` and `as_str()`.
#[macro_export]
macro_rules! label {
    (
        $(#[$outer:meta])*
        $vis:vis enum $name:ident {
            $($(#[$doc:meta])+ $variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis enum $name {
            $($(#[$doc])+ $variant,)+
        }

        impl $name {
            /// Every value.
            $vis const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the value in metrics and logs.
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::metrics::{Kind, MetricSet as _, Registered, exposition};

    crate::label! {
        /// A colour.
        enum Colour {
            /// Like blood.
            Red = "red",
            /// Like snow.
            White = "white",
        }
    }

    crate::metrics! {
        /// One of each kind.
        struct TestMetrics in "test" {
            /// Things that
            /// happened.
            events_total: Counter,
            /// Things by colour and place.
            things_total: Counter[colour: Colour, place],
            /// Pairs of colours.
            pairs_total: Counter[left: Colour, right: Colour],
            /// Seconds spent.
            spent_seconds_total: FloatCounter,
            /// Things here.
            things: Gauge,
            /// Things on each shelf.
            shelf_things: Gauge[shelf],
            /// The time of the last thing.
            last_thing_timestamp_seconds: Reading,
            /// The end of each thing.
            end_timestamp_seconds: Reading[r#use: Colour, name],
            /// How long things took.
            thing_duration_seconds: Histogram([0.5, 1.0]),
            /// How long things took, by colour.
            colour_duration_seconds: Histogram[colour: Colour]([0.5]),
        }
    }

    #[test]
    fn known_series_begin_at_zero_and_what_has_no_value_is_absent() {
        let metrics = Registered::<TestMetrics>::new().unwrap();
        let text = exposition([metrics.gather()]);
        for line in [
            "# HELP test_events_total Things that happened.",
            "# TYPE test_events_total counter",
            "test_events_total 0",
            "test_pairs_total{left=\"red\",right=\"red\"} 0",
            "test_pairs_total{left=\"red\",right=\"white\"} 0",
            "test_pairs_total{left=\"white\",right=\"red\"} 0",
            "test_pairs_total{left=\"white\",right=\"white\"} 0",
            "test_spent_seconds_total 0",
            "test_things 0",
            "test_thing_duration_seconds_count 0",
            "test_colour_duration_seconds_count{colour=\"white\"} 0",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is missing in\n{text}");
        }
        for name in [
            "test_things_total",
            "test_shelf_things",
            "test_last_thing_timestamp_seconds",
            "test_end_timestamp_seconds",
        ] {
            assert!(!text.contains(name), "{name} has no value yet:\n{text}");
        }
    }

    #[test]
    fn what_is_counted_is_shown_and_what_is_not_retained_goes() {
        let metrics = Registered::<TestMetrics>::new().unwrap();
        metrics.events_total().inc();
        metrics.pairs_total(Colour::Red, Colour::White).inc();
        metrics.things_total(Colour::Red, "a\"b").inc_by(2);
        metrics.things_total(Colour::White, "c").inc();
        metrics.spent_seconds_total().inc_by(0.5);
        metrics.things().set(3);
        metrics.shelf_things("top").inc();
        metrics.last_thing_timestamp_seconds().set(7);
        metrics.end_timestamp_seconds(Colour::Red, "x").set(9);
        metrics.thing_duration_seconds().observe(0.7);
        metrics.colour_duration_seconds(Colour::Red).observe(0.1);
        let text = exposition([metrics.gather()]);
        for line in [
            "test_events_total 1",
            "test_pairs_total{left=\"red\",right=\"white\"} 1",
            "test_things_total{colour=\"red\",place=\"a\\\"b\"} 2",
            "test_things_total{colour=\"white\",place=\"c\"} 1",
            "test_spent_seconds_total 0.5",
            "test_things 3",
            "test_shelf_things{shelf=\"top\"} 1",
            "test_last_thing_timestamp_seconds 7",
            "test_end_timestamp_seconds{name=\"x\",use=\"red\"} 9",
            "test_thing_duration_seconds_bucket{le=\"1\"} 1",
            "test_colour_duration_seconds_bucket{colour=\"red\",le=\"0.5\"} 1",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is missing in\n{text}");
        }
        metrics.retain(&|series| series.get("place").is_none_or(|place| place == "c"));
        let text = exposition([metrics.gather()]);
        assert!(!text.contains("place=\"a") && text.contains("place=\"c\"} 1"), "{text}");
        assert!(text.contains("test_shelf_things{shelf=\"top\"} 1"), "{text}");
    }

    #[test]
    fn a_declaration_has_name_kind_help_and_labels() {
        let declarations = TestMetrics::declarations();
        assert_eq!(declarations.len(), 10);
        assert_eq!((declarations[0].name, declarations[0].help), ("test_events_total", "Things that happened."));
        let kinds: Vec<_> = declarations.iter().map(|declaration| declaration.kind.as_str()).collect();
        assert_eq!(kinds[6..9], ["gauge", "gauge", "histogram"]);
        let end = &declarations[7];
        assert_eq!((end.kind, end.labels[0].name, end.labels[1].name), (Kind::Reading, "use", "name"));
        assert_eq!((&end.labels[0].values, &end.labels[1].values), (&Some(vec!["red", "white"]), &None));
    }
}
