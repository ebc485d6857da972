/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A disk that fails at a chosen call. Preloaded (LD_PRELOAD), it counts what a process changes in one folder: writing, making, renaming,
   removing, synchronising. At call number n the process is killed, in the middle of the bytes if it writes; or the disk is full from
   there on, after half of the bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { NOTHING, KILL, FULL };

static char folder[ PATH_MAX ];
static long at = 0, calls = 0;
static int mode = NOTHING;

void
faults_arm( const char* path, long call, int what )
{
  snprintf( folder, sizeof folder, "%s", path );
  at = call;
  mode = what;
  calls = 0;
}

long
faults_seen( void )
{
  return calls;
}

#define REAL( name ) ( ( __typeof__( &name ) ) dlsym( RTLD_NEXT, #name ) )

static int
is_inside( const char* path )
{
  const size_t n = strlen( folder );
  return n > 0 && strncmp( path, folder, n ) == 0 && ( path[ n ] == '/' || path[ n ] == '\0' );
}

static int
concerns_file( int file )
{
  char link[ 64 ], path[ PATH_MAX ];
  if ( folder[ 0 ] == '\0' )
    return 0;
  snprintf( link, sizeof link, "/proc/self/fd/%d", file );
  const ssize_t n = readlink( link, path, sizeof path - 1 );
  if ( n < 0 )
    return 0;
  path[ n ] = '\0';
  return is_inside( path );
}

static int
concerns_path( int directory, const char* path )
{
  return path[ 0 ] == '/' ? is_inside( path ) : directory != AT_FDCWD && concerns_file( directory );
}

/* Whether the call that comes now is to fail; `killable` ones end the process. */
static int
fails( int dies )
{
  ++calls;
  if ( mode == KILL && calls == at && dies )
    kill( getpid(), SIGKILL );
  return ( mode == KILL && calls == at ) || ( mode == FULL && calls >= at );
}

static int
full( void )
{
  errno = ENOSPC;
  return -1;
}

ssize_t
write( int file, const void* bytes, size_t n )
{
  if ( concerns_file( file ) && fails( 0 ) )
  {
    if ( mode == KILL || calls == at )
    {
      const ssize_t half = REAL( write )( file, bytes, n / 2 );
      if ( mode == KILL )
        kill( getpid(), SIGKILL );
      if ( half > 0 )
        return half;
    }
    return full();
  }
  return REAL( write )( file, bytes, n );
}

ssize_t
pwrite64( int file, const void* bytes, size_t n, off64_t place )
{
  return concerns_file( file ) && fails( 1 ) ? full() : REAL( pwrite64 )( file, bytes, n, place );
}

static int
may_open( int directory, const char* path, int flags )
{
  struct stat found;
  if ( !( flags & ( O_CREAT | O_TRUNC ) ) || !concerns_path( directory, path ) )
    return 1;
  const int is_new = fstatat( directory, path, &found, 0 ) != 0;
  return !fails( 1 ) || !is_new; /* a full disk can still open and shorten what is there */
}

#define OPEN( name, head, directory, ... )                                                                             \
  int name head                                                                                                        \
  {                                                                                                                    \
    va_list more;                                                                                                      \
    va_start( more, flags );                                                                                           \
    const mode_t rights = flags & ( O_CREAT | O_TMPFILE ) ? va_arg( more, mode_t ) : 0;                                \
    va_end( more );                                                                                                    \
    return may_open( directory, path, flags ) ? REAL( name )( __VA_ARGS__, flags, rights ) : full();                   \
  }
OPEN( open, ( const char* path, int flags, ... ), AT_FDCWD, path )
OPEN( open64, ( const char* path, int flags, ... ), AT_FDCWD, path )
OPEN( openat, ( int at_file, const char* path, int flags, ... ), at_file, at_file, path )
OPEN( openat64, ( int at_file, const char* path, int flags, ... ), at_file, at_file, path )

int
mkdir( const char* path, mode_t rights )
{
  return concerns_path( AT_FDCWD, path ) && fails( 1 ) ? full() : REAL( mkdir )( path, rights );
}

int
fsync( int file )
{
  return concerns_file( file ) && fails( 1 ) ? full() : REAL( fsync )( file );
}

/* What a full disk can do: only killed at. */
#define FREE( name, head, concerned, ... )                                                                             \
  int name head                                                                                                        \
  {                                                                                                                    \
    if ( concerned )                                                                                                   \
      fails( 1 );                                                                                                      \
    return REAL( name )( __VA_ARGS__ );                                                                                \
  }
FREE( rename, ( const char* from, const char* to ), concerns_path( AT_FDCWD, to ), from, to )
FREE( unlink, ( const char* path ), concerns_path( AT_FDCWD, path ), path )
FREE( unlinkat, ( int directory, const char* path, int flags ), concerns_path( directory, path ), directory, path, flags )
FREE( rmdir, ( const char* path ), concerns_path( AT_FDCWD, path ), path )
FREE( ftruncate64, ( int file, off64_t n ), concerns_file( file ), file, n )
