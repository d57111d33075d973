//! Codecs of blocks: the default one beside `abomonation`, on the row types that the latter takes.

use crate::table::{Table, head, median, say};
use tidemark::row::Row;
use tidemark::row::codec::{Canonical, Codec};
use tidemark_tests::{Failure, Result, clock};

const ROWS: u64 = 10_000;
const ROUNDS: usize = 21;

/// The bench.
pub(crate) fn run() -> Result<()> {
    head("codec: what do bytes and time of a block of rows depend on?");
    say(&format!(
        "blocks of {ROWS} rows, median of {ROUNDS}; bad: the default codec above 100 ns a row of text\n"
    ));
    let mut table = Table::new(&["", "codec", "bytes a row", "encode ns", "decode ns"]);
    let numbers: Vec<u64> = (0..ROWS).map(|n| n * 977).collect();
    let texts: Vec<String> = (0..ROWS).map(|n| format!("a text with the number {n:016}")).collect();
    let lists: Vec<Vec<u64>> = (0..ROWS).map(|n| (0..8).map(|k| n * k).collect()).collect();
    measure::<u64, Canonical>(&mut table, "u64", &numbers)?;
    measure::<String, Canonical>(&mut table, "String", &texts)?;
    measure::<Vec<u64>, Canonical>(&mut table, "Vec<u64>", &lists)?;
    #[cfg(feature = "abomonation")]
    {
        use tidemark::row::abomonation::Abomonated;
        measure::<u64, Abomonated>(&mut table, "u64", &numbers)?;
        measure::<String, Abomonated>(&mut table, "String", &texts)?;
        measure::<Vec<u64>, Abomonated>(&mut table, "Vec<u64>", &lists)?;
    }
    table.print();
    if cfg!(not(feature = "abomonation")) {
        say("\nwith --features abomonation that codec is measured too");
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure<R: Row, C: Codec<R>>(table: &mut Table, what: &str, rows: &[R]) -> Result<()> {
    let (mut encode, mut decode, mut size) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let mut block = Vec::new();
        let begun = clock::now();
        C::encode(rows, &mut block);
        encode.push(begun.elapsed().as_secs_f64() * 1e9 / rows.len() as f64);
        let begun = clock::now();
        let back = C::decode(&block).map_err(|error| Failure(error.to_string()))?;
        decode.push(begun.elapsed().as_secs_f64() * 1e9 / rows.len() as f64);
        size = block.len();
        if back != rows {
            return Err(Failure(format!("{what}: other rows came back from {}", C::NAME)));
        }
    }
    table.row(vec![
        what.to_owned(),
        C::NAME.to_owned(),
        format!("{:.1}", size as f64 / rows.len() as f64),
        format!("{:.1}", median(encode)),
        format!("{:.1}", median(decode)),
    ]);
    Ok(())
}
