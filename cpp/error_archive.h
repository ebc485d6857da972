/*
 *  error_archive.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_ERROR_ARCHIVE_H
#define PYRAMIDAL_ERROR_ARCHIVE_H

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <vector>

#include "power_table.h"
#include "tail_sums.h"

namespace nest
{

/**
 * Archive of the dendritic error x(k) of one compartment. A plastic synapse with N traces gets from it, in O(1) for any k0 < k1 and
 * each of their time constants tau_s,
 *
 *     F1 = sum_{k0 < k <= k1} a^( k - k0 ) x(k),             a = exp( -h / tau_s )
 *     F2 = sum_{k0 < k <= k1} b^( k1 - k ) a^( k - k0 ) x(k),  b = exp( -h / tau_Delta )
 *
 * as differences of what stands at k0 and at k1. The algorithm and its derivation are in docs/theory, "O(1) evaluation".
 *
 * A reset of the neuron counts as an infinitely long silence: traces and filters of before have decayed, and what they still had to
 * add to the weights has been added. Times are steps of the kernel; an index is a time plus the silence of all resets before it, so
 * that powers of a and b across a reset are exactly 0. A spike at time n with delay D sees the errors of times later than n - D, and
 * only those of its own side of a reset.
 */
class ErrorArchive
{
public:
  //! Most traces that a synapse may have.
  static constexpr size_t max_traces = 2;

  //! An index in no epoch.
  static constexpr long nowhere = -1;

  //! Running sums of both kernels at one step.
  struct Sums
  {
    double z1 = 0.0;  //!< of F1
    double z2 = 0.0;  //!< of F2
  };

  //! Where a spike stands in the archive.
  template < size_t n_traces >
  struct Position
  {
    long index;                           //!< k > 0
    std::array< Sums, n_traces > sums{};  //!< Z1(k), Z2(k) for every trace
  };

  bool
  ready() const
  {
    return n_traces_ > 0;
  }

  //! Whether one more reset could lead to indices that synapses cannot keep; it must not be made then.
  bool
  is_exhausted() const
  {
    return now_ + present_.offset > max_index_;
  }

  //! Begin to archive after time now (steps), for spikes that are less than reach steps old, delay included, when they are delivered.
  void
  start( const std::vector< std::shared_ptr< const ArchiveTables > >& tables,
    const size_t n_synapses,
    const long now,
    const long reach )
  {
    n_synapses_ = n_synapses;
    n_traces_ = tables.size();
    for ( size_t i = 0; i < n_traces_; ++i )
    {
      Kernel& kernel = kernels_[ i ];
      kernel.owner = tables[ i ];
      kernel.tables = tables[ i ].get();
      kernel.shift = std::min( kernel.tables->sum1.shift, kernel.tables->sum2.shift );
      kernel.is_slow = not( kernel.tables->a.is_near() and kernel.tables->b.is_near() );
      kernels_[ 0 ].is_slow = kernels_[ 0 ].is_slow or kernel.is_slow;
    }
    now_ = now;
    mask_ = std::bit_ceil( static_cast< size_t >( reach ) ) - 1;
    ring_.assign( n_traces_ * ( mask_ + 1 ), Sums() );
    present_ = { now, span_() - now };
    segments_ = { present_ };
    begin_segment_( 0, 0 );
  }

  //! Archive the error of the step that ends at the next time.
  void
  archive( const double x )
  {
    ++now_;
    for ( size_t i = 0; i < n_traces_; ++i )
    {
      ring_[ slot_( i, now_ ) ] = sums_at_( kernels_[ i ], now_ + present_.offset, x );
    }
  }

  //! The neuron was reset now.
  void
  reset()
  {
    const long k = now_ + present_.offset;
    const long oldest = now_ - span_();
    const long k_keep = oldest + segment_of_( oldest ).offset;
    // a multiple of every epoch's length, and so far away that all powers are 0
    int shift = 0;
    long silence = 0;
    for ( size_t i = 0; i < n_traces_; ++i )
    {
      Kernel& kernel = kernels_[ i ];
      const ArchiveTables& tables = *kernel.tables;
      kernel.sums1.finish( tables.sum1, k );
      kernel.sums2.finish( tables.sum2, k );
      shift = std::max( { shift, tables.sum1.shift, tables.sum2.restarts ? tables.sum2.shift : 0 } );
      silence = std::max( { silence, tables.a.reach(), tables.b.reach() } );
    }
    const long k_new = ( ( ( k + silence ) >> shift ) + 1 ) << shift;

    std::erase_if(
      segments_, [ & ]( const Segment& s ) { return &s != &segments_.back() and ( &s + 1 )->start < oldest; } );
    present_ = { now_, k_new + span_() - now_ };
    segments_.push_back( present_ );
    begin_segment_( k_new, k_keep );
  }

  //! Position of a spike at time n whose connection has a delay of D steps.
  template < size_t n_traces >
  Position< n_traces >
  position( const long n, const long D ) const
  {
    const long t = n - D;
    return at_< n_traces >( t, t > present_.start ? present_ : segment_of_( n ) );
  }

  //! Whether powers of a long silence are far ones (PowerTable).
  bool
  is_slow() const
  {
    return kernels_[ 0 ].is_slow;
  }

  //! Whether no reset has come after time t.
  bool
  begins_before( const long t ) const
  {
    return t > present_.start;
  }

  //! Have the processor fetch the epoch of index k, if there is an archive (the synapse that asks may be a disconnected one).
  void
  prefetch( const long k ) const
  {
    if ( const ArchiveTables* const tables = kernels_[ 0 ].tables )
    {
      kernels_[ 0 ].sums1.prefetch( tables->sum1, k );
    }
  }

  //! Position with this index, of a spike that arrived less than reach steps ago.
  template < size_t n_traces >
  Position< n_traces >
  position( const long k ) const
  {
    const auto s = std::find_if( segments_.crbegin(),
      segments_.crend() - 1,
      [ & ]( const Segment& s ) { return k > s.offset + s.start - span_(); } );
    return at_< n_traces >( k - s->offset, *s );
  }

  //! Position of a spike that would be seen now.
  template < size_t n_traces >
  Position< n_traces >
  present( const long D ) const
  {
    return position< n_traces >( now_, D );
  }

  const ArchiveTables&
  tables( const size_t trace ) const
  {
    return *kernels_[ trace ].tables;
  }

  //! Whether two indices lie in the same epoch of both sums.
  bool
  one_epoch( const size_t trace, const long k0, const long k1 ) const
  {
    return ( k0 ^ k1 ) >> kernels_[ trace ].shift == 0;
  }

  //! What the epochs that are closed by now add to S1 and S2 at k.
  Sums
  tails( const size_t trace, const long k ) const
  {
    const Kernel& kernel = kernels_[ trace ];
    const ArchiveTables& tables = *kernel.tables;
    return { kernel.sums1.tail( tables.sum1, k ), tables.sum2.restarts ? kernel.sums2.tail( tables.sum2, k ) : 0.0 };
  }

  /**
   * A synapse whose last spike was at k0, or that had none (nowhere), has it at k now; returns the tails there.
   *
   * In the longer epochs of S2 it often stays where it was; then both tails are left out, as they cancel each other.
   */
  Sums
  enter( const size_t trace, const long k, const long k0 )
  {
    Kernel& kernel = kernels_[ trace ];
    const ArchiveTables& tables = *kernel.tables;
    return { kernel.sums1.enter( tables.sum1, k ),
      tables.sum2.separates( k0, k ) ? kernel.sums2.enter( tables.sum2, k ) : 0.0 };
  }

  //! A synapse that had its last spike at k leaves for k1, or for good (nowhere); returns the tails at k.
  Sums
  leave( const size_t trace, const long k, const long k1 )
  {
    Kernel& kernel = kernels_[ trace ];
    const ArchiveTables& tables = *kernel.tables;
    return { kernel.sums1.leave( tables.sum1, k ),
      tables.sum2.separates( k, k1 ) ? kernel.sums2.leave( tables.sum2, k ) : 0.0 };
  }

  //! Memory held (bytes).
  size_t
  bytes() const
  {
    size_t sum = ring_.size() * sizeof( Sums ) + segments_.size() * sizeof( Segment );
    for ( const Kernel& kernel : kernels_ )
    {
      sum += kernel.sums1.bytes() + kernel.sums2.bytes();
    }
    return sum;
  }

private:
  //! Times between two resets.
  struct Segment
  {
    long start;   //!< time of the reset; errors of later times belong to the segment (steps)
    long offset;  //!< index minus time
  };

  //! All for one trace.
  struct Kernel
  {
    const ArchiveTables* tables = nullptr;         //!< constants, kept by owner
    int shift = 0;                                 //!< binary logarithm of the shorter epoch
    bool is_slow = false;                          //!< of this trace or, in the first, of any
    TailSums sums1;                                //!< of F1
    TailSums sums2;                                //!< of F2
    std::shared_ptr< const ArchiveTables > owner;  //!< of the tables
  };

  //! Steps that the ring holds.
  long
  span_() const
  {
    return static_cast< long >( mask_ ) + 1;
  }

  //! Place of the sums of a trace at time t.
  size_t
  slot_( const size_t trace, const long t ) const
  {
    return trace * ( mask_ + 1 ) + ( t & mask_ );
  }

  //! Position at time t in a segment, which may begin later.
  template < size_t n_traces >
  Position< n_traces >
  at_( const long t, const Segment& segment ) const
  {
    Position< n_traces > p{ t + segment.offset };
    if ( t > segment.start )
    {
      for ( size_t i = 0; i < n_traces; ++i )
      {
        p.sums[ i ] = ring_[ slot_( i, t ) ];
      }
    }
    return p;
  }

  //! Segment to which a spike at time n, or the error of this time, belongs.
  [[gnu::cold, gnu::noinline]] const Segment&
  segment_of_( const long n ) const
  {
    return *std::find_if(
      segments_.crbegin(), segments_.crend() - 1, [ n ]( const Segment& s ) { return n > s.start; } );
  }

  Sums
  sums_at_( Kernel& kernel, const long k, const double x )
  {
    const ArchiveTables& tables = *kernel.tables;
    const long k_keep = k - span_();
    return { kernel.sums1.archive( tables.sum1, k, x, k_keep ),
      tables.filtered ? kernel.sums2.archive( tables.sum2, k, x, k_keep ) : 0.0 };
  }

  //! Silence as long as the ring leads into a segment, so that spikes with n - D before the reset have an index of their own.
  void
  begin_segment_( const long k, const long k_keep )
  {
    for ( size_t i = 0; i < n_traces_; ++i )
    {
      Kernel& kernel = kernels_[ i ];
      kernel.sums1.start( kernel.tables->sum1, k, k_keep, n_synapses_ );
      kernel.sums2.start( kernel.tables->sum2, k, k_keep, n_synapses_ );
      for ( long lead_in = k + 1; lead_in <= now_ + present_.offset; ++lead_in )
      {
        sums_at_( kernel, lead_in, 0.0 );
      }
    }
  }

  // Synapses keep 48 bits. A reset adds at most 2^46 steps of silence, so half of that may be reached before the last one.
  static constexpr long max_index_ = 1L << 47;

  // what a spike needs lies together, so that it has few cache lines to touch
  Segment present_{};                         //!< since the last reset
  size_t mask_ = 0;                           //!< steps in the ring, a power of 2, less 1
  std::vector< Sums > ring_;                  //!< sums of the last steps, for every trace by time
  std::array< Kernel, max_traces > kernels_;  //!< for each trace
  size_t n_traces_ = 0;                       //!< 0 before the first Simulate
  long now_ = 0;                              //!< time of the last archived error (steps)
  size_t n_synapses_ = 0;                     //!< at the start
  std::vector< Segment > segments_;           //!< as far back as the ring, present_ the last
};

}  // namespace nest

#endif
