/* Claims of engine/base/hash.h. The digests of the standard are xxHash's own (XXH128, seed 0). */
#include "tests/testing.h"

#include "engine/base/file.h"
#include "engine/base/hash.h"

static void test_hash__digests_are_those_of_xxh3(void **state)
{
    (void)state;
    assert_string_equal(hash_string("").hex, "99aa06d3014798d86001c324468d497f");
    assert_string_equal(hash_string("ivfbench").hex, "2f9799295e218fecfcb4015eb166c672");
}

static void test_hash__pieces_give_the_digest_of_the_whole(void **state)
{
    enum { N = 10007 };
    unsigned char bytes[N];
    struct hasher *h = NULL;

    (void)state;
    for (int i = 0; i < N; i++)
        bytes[i] = (unsigned char)(i * 31);
    CHECK_OK(hasher_create(&h));
    for (int at = 0, n = 1; at < N; at += n, n = n * 3 % 1000)
        hasher_add(h, bytes + at, (size_t)(at + n < N ? n : N - at));
    assert_string_equal(hasher_end(h).hex, hash_bytes(bytes, N).hex);
    hasher_free(h);
    hasher_free(NULL);
}

static struct hash hash_two(const char *a, const char *b)
{
    struct hasher *h = NULL;
    struct hash digest;

    CHECK_OK(hasher_create(&h));
    hasher_add_string(h, a);
    hasher_add_string(h, b);
    digest = hasher_end(h);
    hasher_free(h);
    return digest;
}

static void test_hash__strings_added_one_by_one_stay_apart(void **state)
{
    (void)state;
    assert_string_not_equal(hash_two("ab", "c").hex, hash_two("a", "bc").hex);
    assert_string_not_equal(hash_two("", "a").hex, hash_two("a", "").hex);
}

static void test_hash__a_files_digest_is_its_bytes(void **state)
{
    enum { N = 200000 }; /* a few of its chunks */
    char path[1024], *text = mem_new(N + 1, 1);
    struct hash digest;

    (void)state;
    memset(text, 'v', N);
    snprintf(path, sizeof path, "%s/hashed", testing_tmpdir());
    CHECK_OK(file_put(path, text));
    CHECK_OK(hash_file(&digest, path));
    assert_string_equal(digest.hex, hash_bytes(text, N).hex);
    mem_free(text);
}

static void test_hash__a_missing_file_is_named(void **state)
{
    struct hash digest;

    (void)state;
    CHECK_FAILS(ERR_IO, "no/such/file: No such file", hash_file(&digest, "no/such/file"));
}

static int hash_this_file(void *arg)
{
    struct hash digest;

    return hash_file(&digest, arg);
}

static void test_hash__file_survives_every_failed_alloc(void **state)
{
    char path[1024];

    (void)state;
    snprintf(path, sizeof path, "%s/hashed", testing_tmpdir());
    CHECK_OK(file_put(path, "content"));
    assert_true(testing_every_failed_alloc(hash_this_file, path) > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_hash__digests_are_those_of_xxh3),
    cmocka_unit_test(test_hash__pieces_give_the_digest_of_the_whole),
    cmocka_unit_test(test_hash__strings_added_one_by_one_stay_apart),
    cmocka_unit_test(test_hash__a_files_digest_is_its_bytes),
    cmocka_unit_test(test_hash__a_missing_file_is_named),
    cmocka_unit_test(test_hash__file_survives_every_failed_alloc),
};

TESTING_MAIN(tests)
