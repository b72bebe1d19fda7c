//! What was left out of a file, counted by sort: a file of thousands of faults gets one line each
//! for the sorts, not for the faults.

/// Counts faults of each sort, and remembers where the first was.
#[derive(Debug, Default)]
pub(super) struct Warnings(Vec<Sort>);

#[derive(Debug)]
struct Sort {
    what: &'static str,
    first_line: usize,
    count: usize,
}

impl Warnings {
    /// One more fault; `what` says in words what was done about it.
    pub(super) fn add(&mut self, line: usize, what: &'static str) {
        match self.0.iter_mut().find(|sort| sort.what == what) {
            Some(sort) => sort.count += 1,
            None => self.0.push(Sort {
                what,
                first_line: line,
                count: 1,
            }),
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.into_lines_of("line")
    }

    /// As [`Self::into_lines`], where what is counted is called otherwise.
    pub(super) fn into_lines_of(self, unit: &str) -> Vec<String> {
        let line = |sort: Sort| match sort.count {
            1 => format!("{unit} {}: {}", sort.first_line, sort.what),
            count => format!(
                "{unit} {} and {} more: {}",
                sort.first_line,
                count - 1,
                sort.what
            ),
        };
        self.0.into_iter().map(line).collect()
    }
}
