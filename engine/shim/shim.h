// The C interface between the engine's Rust and DuckDB's C++.
//
// Rules on both sides: no C++ exception leaves a function declared here, no Rust panic leaves a
// function pointer passed here, every pointer with a length is that long, and whoever is handed an
// owning pointer gives it back to the matching release function.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ArrowSchema;
struct ArrowArray;

#ifdef __cplusplus
extern "C" {
#endif

// What went wrong, as the Rust side distinguishes it. Mirrors `Kind` in src/ffi.rs.
enum dbl_kind {
	DBL_OK = 0,
	DBL_SYNTAX = 1,
	DBL_UNKNOWN_TABLE = 2,
	DBL_UNKNOWN_COLUMN = 3,
	DBL_NOT_ONE_SELECT = 4,
	DBL_REFUSED = 5,
	DBL_OUT_OF_MEMORY = 6,
	DBL_INTERRUPTED = 7,
	DBL_PERMISSION = 8,
	DBL_IO = 9,
	DBL_SQL = 10,
	DBL_BROKEN = 11,
};

// `message` and `name` are null or owned by the receiver, who frees them with dbl_string_free.
struct dbl_error {
	int32_t kind;
	int64_t position; // byte offset in the statement, -1 when unknown
	char *message;
	char *name; // the table or column meant, null when unknown
};

// The files behind sealed://. Every function may be called from several threads at once.
struct dbl_files {
	const void *ctx;
	// 1 and an owned file with its size and tag, or 0 when there is no such file.
	int32_t (*find)(const void *ctx, const uint8_t *path, size_t path_len, const void **file, uint64_t *size);
	// Copies at most `cap` bytes of the version tag and returns how many.
	size_t (*tag)(const void *file, uint8_t *out, size_t cap);
	// Fills the buffer completely and returns 0, or returns another value and leaves the reason on the Rust side.
	int32_t (*read)(const void *file, uint64_t offset, uint8_t *buffer, size_t len);
	void (*close)(const void *file);
	void (*release)(const void *ctx);
};

// AES-GCM in place with a 12-byte nonce and a 16-byte tag, and random bytes. 0 is success.
struct dbl_crypto {
	int32_t (*random)(uint8_t *out, size_t len);
	int32_t (*seal)(const uint8_t *key, size_t key_len, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
	                uint8_t *data, size_t len, uint8_t *tag);
	int32_t (*open)(const uint8_t *key, size_t key_len, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
	                uint8_t *data, size_t len, const uint8_t *tag);
};

// What the walk over a parsed statement meets. Mirrors `Met` in src/gate.rs.
enum dbl_met {
	DBL_MET_TABLE = 1,          // a table, view or file named in FROM that no common table expression hides
	DBL_MET_TABLE_FUNCTION = 2, // a function in FROM
	DBL_MET_FUNCTION = 3,       // any other function
	DBL_MET_FORBIDDEN = 4,      // a node that no query of ours may have
	DBL_MET_COLUMN = 5,         // the parts of what may be a column's name
	DBL_MET_ANY_COLUMN = 6,     // something that may stand for any column, such as a star
	DBL_MET_ALIAS = 7,          // a name given to a table in FROM
};

// Returns 0 to go on, anything else to refuse the statement.
struct dbl_judge {
	void *ctx;
	int32_t (*meet)(void *ctx, int32_t met, const uint8_t *name, size_t name_len, int64_t position);
};

typedef struct dbl_engine dbl_engine;
typedef struct dbl_rows dbl_rows;

const char *dbl_version(void);
void dbl_string_free(char *text);

// Opens an empty database in memory. `options` holds `count` names and values, alternating. Takes over
// `files` in every case, failure included.
int32_t dbl_open(const char *const *options, size_t count, const struct dbl_files *files,
                 const struct dbl_crypto *crypto, dbl_engine **out, struct dbl_error *error);
void dbl_close(dbl_engine *engine);

// Runs one statement of our own and drops its result.
int32_t dbl_run(dbl_engine *engine, const uint8_t *sql, size_t len, struct dbl_error *error);
// Runs one statement of our own and returns the first value as text, owned by the caller, null for NULL or no row.
int32_t dbl_ask(dbl_engine *engine, const uint8_t *sql, size_t len, char **value, struct dbl_error *error);
// May be called from any thread while the engine lives.
void dbl_interrupt(dbl_engine *engine);

// Parses a text without any database and, if it is exactly one SELECT, shows it to the judge. DBL_OK if the judge saw
// all of it.
int32_t dbl_walk(const uint8_t *sql, size_t len, const struct dbl_judge *judge);

// Parses a stranger's text, requires exactly one SELECT that the judge lets pass, prepares it and starts it.
int32_t dbl_query(dbl_engine *engine, const uint8_t *sql, size_t len, const struct dbl_judge *judge,
                  uint64_t batch_rows, dbl_rows **out, struct dbl_error *error);
int32_t dbl_rows_schema(dbl_rows *rows, struct ArrowSchema *out, struct dbl_error *error);
// 1 and a batch, 0 at the end, -1 and the error.
int32_t dbl_rows_next(dbl_rows *rows, struct ArrowArray *out, struct dbl_error *error);
void dbl_rows_close(dbl_rows *rows);

#ifdef __cplusplus
}
#endif
