// Opening, configuring and closing the database, and our own statements.

#include "internal.hpp"

#include "duckdb/common/types/data_chunk.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/query_result.hpp"

namespace duckblind {

using duckdb::string;

static duckdb::unique_ptr<duckdb::QueryResult> RunOne(dbl_engine &engine, const uint8_t *sql, size_t len) {
	auto text = string(reinterpret_cast<const char *>(sql), len);
	auto statements = engine.connection->ExtractStatements(text);
	if (statements.size() != 1) {
		throw duckdb::InternalException("exactly one statement was expected");
	}
	return engine.connection->Query(std::move(statements[0]));
}

} // namespace duckblind

using duckblind::Fill;
using duckblind::FillFromCurrent;

extern "C" const char *dbl_version(void) {
	return duckdb::DuckDB::LibraryVersion();
}

extern "C" int32_t dbl_open(const char *const *options, size_t count, const dbl_files *files, const dbl_crypto *crypto,
                            dbl_engine **out, dbl_error *error) {
	try {
		// First, so that the files have an owner whatever happens next.
		auto file_system = duckblind::MakeFileSystem(*files);
		duckdb::DBConfig config;
		for (size_t i = 0; i < count; i++) {
			config.SetOptionByName(options[2 * i], duckdb::Value(options[2 * i + 1]));
		}
		config.encryption_util = duckblind::MakeEncryptionUtil(*crypto);

		auto engine = duckdb::make_uniq<dbl_engine>();
		engine->database = duckdb::make_uniq<duckdb::DuckDB>(nullptr, &config);
		auto &instance = *engine->database->instance;
		instance.GetFileSystem().RegisterSubSystem(std::move(file_system));
		auto &live = duckdb::DBConfig::GetConfig(instance);
		live.encryption_util = duckblind::MakeEncryptionUtil(*crypto);
		// Without these no unknown name is ever tried as a file.
		live.replacement_scans = duckdb::ReplacementScanList();
		engine->connection = duckdb::make_uniq<duckdb::Connection>(*engine->database);
		*out = engine.release();
		return DBL_OK;
	} catch (...) {
		FillFromCurrent(*error);
		return error->kind;
	}
}

extern "C" void dbl_close(dbl_engine *engine) {
	try {
		delete engine;
	} catch (...) {
		// A destructor that throws leaves nothing to be done.
	}
}

extern "C" int32_t dbl_run(dbl_engine *engine, const uint8_t *sql, size_t len, dbl_error *error) {
	try {
		auto result = duckblind::RunOne(*engine, sql, len);
		if (result->HasError()) {
			Fill(*error, result->GetErrorObject());
			return error->kind;
		}
		return DBL_OK;
	} catch (...) {
		FillFromCurrent(*error);
		return error->kind;
	}
}

extern "C" int32_t dbl_ask(dbl_engine *engine, const uint8_t *sql, size_t len, char **value, dbl_error *error) {
	try {
		auto result = duckblind::RunOne(*engine, sql, len);
		if (result->HasError()) {
			Fill(*error, result->GetErrorObject());
			return error->kind;
		}
		*value = nullptr;
		auto chunk = result->Fetch();
		if (chunk && chunk->size() > 0 && chunk->ColumnCount() > 0) {
			auto first = chunk->GetValue(0, 0);
			if (!first.IsNull()) {
				*value = duckblind::CopyText(first.ToString());
			}
		}
		return DBL_OK;
	} catch (...) {
		FillFromCurrent(*error);
		return error->kind;
	}
}

extern "C" void dbl_interrupt(dbl_engine *engine) {
	try {
		engine->connection->Interrupt();
	} catch (...) {
		// An interrupt that cannot be delivered is followed by the process's end.
	}
}
