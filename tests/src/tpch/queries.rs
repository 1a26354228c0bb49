//! The 22 queries, and by which columns of its answer each one is ordered.

/// One query.
pub struct Query {
    /// 1 to 22.
    pub number: u8,
    /// One SELECT.
    pub sql: &'static str,
    /// Positions of the ORDER BY columns in the answer.
    pub order_by: &'static [usize],
}

/// Query `number` (1 to 22).
///
/// # Panics
/// If there is no such query.
pub fn query(number: u8) -> &'static Query {
    QUERIES
        .iter()
        .find(|q| q.number == number)
        .expect("TPC-H has queries 1 to 22")
}

macro_rules! queries {
    ($($number:literal $file:literal $order:expr;)*) => {
        /// All of them, in order.
        pub const QUERIES: [Query; 22] = [$(Query {
            number: $number,
            sql: include_str!(concat!("queries/", $file, ".sql")),
            order_by: &$order,
        }),*];
    };
}

queries! {
    1 "q01" [0, 1];
    2 "q02" [0, 2, 1, 3];
    3 "q03" [1, 2];
    4 "q04" [0];
    5 "q05" [1];
    6 "q06" [];
    7 "q07" [0, 1, 2];
    8 "q08" [0];
    9 "q09" [0, 1];
    10 "q10" [2];
    11 "q11" [1];
    12 "q12" [0];
    13 "q13" [1, 0];
    14 "q14" [];
    15 "q15" [0];
    16 "q16" [3, 0, 1, 2];
    17 "q17" [];
    18 "q18" [4, 3];
    19 "q19" [];
    20 "q20" [0];
    21 "q21" [1, 0];
    22 "q22" [0];
}
