//! Which columns one SELECT may touch, told from its text alone: no database, no tables.
//!
//! Too many is harmless, too few makes the query fail where it reads the column. So every name that
//! could be a column's counts, and whatever stands for columns without naming them counts as all.

use std::collections::BTreeSet;

use crate::ffi;
use crate::gate::{Met, Walked};

/// The columns that a SELECT may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MentionedColumns {
    /// Possibly any: a star, `COLUMNS(…)`, a whole row, a natural join, and whatever is no SELECT.
    Any,
    /// Those of these names, in lower case.
    Named(BTreeSet<String>),
}

impl MentionedColumns {
    /// Of one SELECT's text.
    pub fn of(sql: &str) -> Self {
        let mut walk = Walk::default();
        let judge = walk.as_raw();
        // SAFETY: the text is only read, and the walk, which `judge` points to, outlives this call, in
        // which the shim alone uses it.
        let state = unsafe { ffi::dbl_walk(sql.as_ptr(), sql.len(), &raw const judge) };
        if state == 0 {
            walk.into_mentioned()
        } else {
            Self::Any
        }
    }

    /// Whether a leaf column, by its path, is among them: by any name within a struct, by any part
    /// of a qualified name.
    pub fn may_touch(&self, leaf: &str) -> bool {
        let Self::Named(names) = self else {
            return true;
        };
        let leaf = leaf.to_lowercase();
        names.iter().any(|name| {
            leaf.strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

#[derive(Default)]
struct Walk {
    any: bool,
    names: BTreeSet<String>,
    /// Last parts of names: a table's there is a whole row.
    last: BTreeSet<String>,
    tables: BTreeSet<String>,
}

impl Walk {
    fn into_mentioned(self) -> MentionedColumns {
        if self.any || !self.last.is_disjoint(&self.tables) {
            MentionedColumns::Any
        } else {
            MentionedColumns::Named(self.names)
        }
    }
}

impl Walked for Walk {
    fn meet(&mut self, met: &Met, name: &str, _: Option<u32>) -> bool {
        let mut parts = name.split('\0').map(str::to_lowercase);
        match met {
            Met::Column => {
                self.last.extend(parts.clone().next_back());
                self.names.extend(parts);
            }
            Met::AnyColumn => self.any = true,
            Met::Table | Met::Alias => self.tables.extend(parts.next_back()),
            Met::TableFunction | Met::Function => {}
            Met::Forbidden => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(sql: &str) -> Vec<String> {
        match MentionedColumns::of(sql) {
            MentionedColumns::Any => vec!["*".into()],
            MentionedColumns::Named(names) => names.into_iter().collect(),
        }
    }

    #[test]
    fn names_wherever_they_stand() {
        for (sql, names) in [
            ("SELECT 1", &[][..]),
            ("SELECT count(*) FROM t", &[]),
            ("SELECT A, b + 1 AS c FROM t", &["a", "b"]),
            ("SELECT \"Größe\" FROM t", &["größe"]),
            ("SELECT o.a FROM t o", &["a", "o"]),
            ("SELECT main.t.a.x FROM t", &["a", "main", "t", "x"]),
            ("SELECT s['a'] FROM t", &["s"]),
            (
                "SELECT 1 FROM t WHERE a > 1 GROUP BY b HAVING max(c) > 1 ORDER BY d LIMIT 1",
                &["a", "b", "c", "d"],
            ),
            (
                "SELECT sum(a) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN d PRECEDING AND e FOLLOWING) FROM t",
                &["a", "b", "c", "d", "e"],
            ),
            (
                "SELECT sum(a ORDER BY b) FILTER (WHERE c) FROM t QUALIFY d",
                &["a", "b", "c", "d"],
            ),
            ("SELECT 1 FROM t JOIN u ON a = b", &["a", "b"]),
            ("SELECT 1 FROM t JOIN u USING (a, b)", &["a", "b"]),
            ("SELECT 1 FROM t, (SELECT a FROM t) s(b)", &["a"]),
            (
                "WITH x(p) AS (SELECT a FROM t) SELECT p FROM x",
                &["a", "p"],
            ),
            (
                "SELECT (SELECT max(a) FROM t), EXISTS (SELECT 1 FROM u WHERE b)",
                &["a", "b"],
            ),
            ("SELECT 1 FROM t, unnest(t.a) AS u(x)", &["a", "t"]),
            ("SELECT DISTINCT ON (a) b FROM t", &["a", "b"]),
            (
                "SELECT a FROM t UNION ALL BY NAME SELECT b FROM u",
                &["a", "b"],
            ),
            (
                "SELECT list_transform(a, lambda x: x + b) FROM t",
                &["a", "b", "x"],
            ),
            (
                "SELECT CASE WHEN a THEN b ELSE c END, a BETWEEN d AND e, a IN (f) FROM t",
                &["a", "b", "c", "d", "e", "f"],
            ),
        ] {
            assert_eq!(named(sql), names, "{sql}");
        }
    }

    #[test]
    fn what_names_nothing_may_be_anything() {
        for sql in [
            "SELECT * FROM t",
            "VALUES (1)",
            "FROM t",
            "TABLE t",
            "SELECT t.* EXCLUDE (a) FROM t",
            "SELECT COLUMNS('a.*') FROM t",
            "SELECT min(COLUMNS(*)) FROM t",
            "SELECT t FROM t",
            "SELECT o FROM t AS o",
            "SELECT main.T FROM t",
            "SELECT struct_extract(o, 'a') FROM t o",
            "SELECT o['a'] FROM t o",
            "SELECT to_json(o) FROM (t JOIN u ON true) o",
            "SELECT 1 FROM t NATURAL JOIN u",
            "SELECT p FROM t AS x(p)",
            "SELECT #1 FROM t",
            "SELECT * FROM (PIVOT t ON a IN ('x') USING sum(b))",
            "SELECT * FROM (UNPIVOT t ON a, b)",
            "FROM (SUMMARIZE t)",
            "FROM (DESCRIBE t)",
            "SELECT 1; SELECT 2",
            "SELEC a FROM t",
            "CREATE TABLE a AS SELECT 1",
            "",
        ] {
            assert_eq!(MentionedColumns::of(sql), MentionedColumns::Any, "{sql}");
        }
    }

    #[test]
    fn a_column_is_touched_with_all_its_leaves() {
        let mentioned = MentionedColumns::of("SELECT Customer.name, x FROM t");
        for leaf in [
            "customer",
            "Customer.address.street",
            "name",
            "X.list.element",
        ] {
            assert!(mentioned.may_touch(leaf), "{leaf}");
        }
        for leaf in ["customers", "custom", "y.name", "y"] {
            assert!(!mentioned.may_touch(leaf), "{leaf}");
        }
        assert!(MentionedColumns::Any.may_touch("y"));
    }
}
