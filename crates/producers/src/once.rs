//! What `once` was to do and has done -> what is missing, in words that end up behind `error:`.

/// How one round ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Once {
    /// Records that Kafka has acknowledged.
    pub(crate) acknowledged: u64,
    /// Records that broke the contract, or were too large for Kafka.
    pub(crate) rejected: u64,
    /// Requests that brought nothing, or were not made.
    pub(crate) unanswered: usize,
    /// A signal came first.
    pub(crate) stopped: bool,
}

impl Once {
    /// What is missing; none where all that was asked for is published.
    pub(crate) fn missing(self) -> Option<String> {
        let Self { acknowledged, rejected, unanswered, stopped } = self;
        let mut missing = Vec::new();
        if stopped {
            missing.push("it was stopped before its end".to_owned());
        }
        if unanswered > 0 {
            missing.push(format!("requests without an answer: {unanswered}"));
        }
        if rejected > 0 {
            missing.push(format!("records rejected: {rejected}"));
        }
        let published = if acknowledged == 0 { "nothing was" } else { "not all was" };
        match missing.is_empty() {
            true if acknowledged > 0 => None,
            true => Some("nothing was published; the log says why".to_owned()),
            false => Some(format!("{published} published: {}; the log says why", missing.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_missing_is_named() {
        let all = Once { acknowledged: 10, ..Once::default() };
        assert_eq!(all.missing(), None);
        assert_eq!(Once::default().missing().unwrap(), "nothing was published; the log says why");
        let none = Once { unanswered: 10, ..Once::default() };
        let words = "nothing was published: requests without an answer: 10; the log says why";
        assert_eq!(none.missing().unwrap(), words);
        let some = Once { unanswered: 9, rejected: 2, stopped: true, ..all };
        let words = "not all was published: it was stopped before its end, requests without an answer: 9, records rejected: 2; \
                     the log says why";
        assert_eq!(some.missing().unwrap(), words);
        for one in [Once { unanswered: 1, ..all }, Once { rejected: 1, ..all }, Once { stopped: true, ..all }]
        {
            assert!(one.missing().is_some(), "{one:?}");
        }
    }
}
