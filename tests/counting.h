// SPDX-License-Identifier: MIT
/* counting.h - for tests that count allocations: their malloc and its kin stand in
 * front of the C library's. Sanitizers bring their own, which stay: without COUNTING
 * there is nothing to ask. One program includes it once. */
#ifndef COUNTING_H
#define COUNTING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTING 1
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef COUNTING
#endif
#endif
#endif

static _Thread_local volatile int is_watched; // compilers think that malloc cannot read it

#ifdef COUNTING
static atomic_int watched_allocations;

#pragma GCC visibility push(default) // the shared libraries should find them
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

void *malloc(size_t n)
{
    atomic_fetch_add(&watched_allocations, is_watched);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    atomic_fetch_add(&watched_allocations, is_watched);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    atomic_fetch_add(&watched_allocations, is_watched);
    return __libc_realloc(p, n);
}

void free(void *p)
{
    atomic_fetch_add(&watched_allocations, is_watched && p != NULL);
    __libc_free(p);
}
#pragma GCC visibility pop
#endif

#endif
