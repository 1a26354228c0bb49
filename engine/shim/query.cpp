// A stranger's statement: parsed, judged, prepared, started and streamed as Arrow.

#include "internal.hpp"

#include "duckdb/common/arrow/arrow_converter.hpp"
#include "duckdb/common/arrow/arrow_format.hpp"
#include "duckdb/main/prepared_statement.hpp"
#include "duckdb/main/query_result_stream.hpp"

using duckdb::ArrowFormat;
using duckdb::string;
using duckblind::Fill;
using duckblind::FillFromCurrent;

struct dbl_rows {
	duckdb::unique_ptr<duckdb::QueryResultStream<ArrowFormat>> stream;
};

static int32_t NotOneSelect(dbl_error &error, const char *message) {
	Fill(error, DBL_NOT_ONE_SELECT, message);
	return DBL_NOT_ONE_SELECT;
}

static int32_t Query(dbl_engine &engine, const string &sql, const dbl_judge &judge, uint64_t batch_rows,
                     dbl_rows **out, dbl_error &error) {
	// Parses the whole text, however many statements it holds. None is bound or run here, and PRAGMA and PIVOT
	// are not expanded: Prepare and Submit do that, and below they get nothing but one SELECT.
	auto statements = engine.connection->ExtractStatements(sql);
	if (statements.empty()) {
		return NotOneSelect(error, "there is no statement");
	}
	if (statements.size() > 1) {
		return NotOneSelect(error, "there is more than one statement");
	}
	if (statements[0]->type != duckdb::StatementType::SELECT_STATEMENT) {
		return NotOneSelect(error, "the statement is not a SELECT");
	}
	if (!statements[0]->named_param_map.empty()) {
		return NotOneSelect(error, "the statement has parameters, and there is nothing to fill them with");
	}
	if (!duckblind::Walk(statements[0]->Cast<duckdb::SelectStatement>(), judge)) {
		Fill(error, DBL_REFUSED, "refused");
		return DBL_REFUSED;
	}

	{
		// A plan before the run: it must still be one SELECT that returns rows and writes nothing.
		auto planned = engine.connection->Prepare(statements[0]->Copy());
		if (planned->HasError()) {
			Fill(error, planned->GetErrorObject());
			return error.kind;
		}
		if (!planned->MetadataAvailable() ||
		    planned->GetStatementType() != duckdb::StatementType::SELECT_STATEMENT ||
		    planned->GetStatementProperties().return_type != duckdb::StatementReturnType::QUERY_RESULT ||
		    !planned->GetStatementProperties().IsReadOnly()) {
			return NotOneSelect(error, "the statement does more than one SELECT");
		}
	}

	// Not by EXECUTE of the prepared one: in 2.0.0 the EXECUTE operator hides the plan below it, and with
	// several threads and without insertion order a sorted result then comes out unsorted.
	auto result = engine.connection->Submit(std::move(statements[0]),
	                                        duckdb::QueryParameters(duckdb::make_shared_ptr<ArrowFormat>(batch_rows)));
	if (result->HasError()) {
		Fill(error, result->GetErrorObject());
		return error.kind;
	}
	auto rows = duckdb::make_uniq<dbl_rows>();
	rows->stream = duckdb::make_uniq<duckdb::QueryResultStream<ArrowFormat>>(std::move(result));
	*out = rows.release();
	return DBL_OK;
}

extern "C" int32_t dbl_query(dbl_engine *engine, const uint8_t *sql, size_t len, const dbl_judge *judge,
                             uint64_t batch_rows, dbl_rows **out, dbl_error *error) {
	try {
		return Query(*engine, string(reinterpret_cast<const char *>(sql), len), *judge, batch_rows, out, *error);
	} catch (...) {
		FillFromCurrent(*error);
		return error->kind;
	}
}

extern "C" int32_t dbl_rows_schema(dbl_rows *rows, ArrowSchema *out, dbl_error *error) {
	try {
		auto &state = rows->stream->FormatState();
		// A schema of its own: the one in the state is released with the stream.
		auto properties = state.Properties();
		duckdb::ArrowConverter::ToArrowSchema(out, state.Types(),
		                                      duckdb::IdentifiersToStrings(rows->stream->GetNames()), properties);
		return DBL_OK;
	} catch (...) {
		FillFromCurrent(*error);
		return error->kind;
	}
}

extern "C" int32_t dbl_rows_next(dbl_rows *rows, ArrowArray *out, dbl_error *error) {
	try {
		auto batch = rows->stream->Fetch();
		if (rows->stream->HasError()) {
			Fill(*error, rows->stream->GetErrorObject());
			return -1;
		}
		if (!batch) {
			return 0;
		}
		*out = batch->arrow_array;
		batch->arrow_array.release = nullptr;
		return 1;
	} catch (...) {
		FillFromCurrent(*error);
		return -1;
	}
}

extern "C" void dbl_rows_close(dbl_rows *rows) {
	try {
		delete rows;
	} catch (...) {
		// A destructor that throws leaves nothing to be done.
	}
}
