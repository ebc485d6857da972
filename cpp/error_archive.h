/*
 *  error_archive.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_ERROR_ARCHIVE_H
#define PYRAMIDAL_ERROR_ARCHIVE_H

#include <algorithm>
#include <bit>
#include <memory>
#include <vector>

#include "power_table.h"
#include "tail_sums.h"

namespace nest
{

/**
 * Archive of the dendritic error x(k) of one compartment, from which a plastic synapse gets, in O(1) for any k0 < k1,
 *
 *     F1 = sum_{k0 < k <= k1} a^( k - k0 ) x(k),             a = exp( -h / tau_s )
 *     F2 = sum_{k0 < k <= k1} b^( k1 - k ) a^( k - k0 ) x(k),  b = exp( -h / tau_Delta )
 *
 * The algorithm and its derivation are in docs/theory, "O(1) evaluation".
 *
 * A reset of the neuron counts as an infinitely long silence: traces and filters of before have decayed, and what they still had to
 * add to the weights has been added. Times are steps of the kernel; an index is a time plus the silence of all resets before it, so
 * that powers of a and b across a reset are exactly 0. A spike at time n with delay D sees the errors of times later than n - D, and
 * only those of its own side of a reset.
 */
class ErrorArchive
{
public:
  //! Running sums of both kernels at one step.
  struct Sums
  {
    double z1 = 0.0;  //!< of F1
    double z2 = 0.0;  //!< of F2
  };

  //! Where a spike stands in the archive.
  struct Position
  {
    long index = 0;  //!< k
    Sums sums;       //!< Z1(k), Z2(k)
  };

  bool
  ready() const
  {
    return tables_ != nullptr;
  }

  //! Begin to archive after time now (steps), for spikes that are less than reach steps old, delay included, when they are delivered.
  void
  start( std::shared_ptr< const ArchiveTables > tables, const long now, const long reach )
  {
    tables_ = std::move( tables );
    now_ = now;
    ring_.assign( std::bit_ceil( static_cast< size_t >( reach ) ), Sums() );
    mask_ = ring_.size() - 1;
    present_ = { now, static_cast< long >( ring_.size() ) - now };
    segments_ = { present_ };
    begin_segment_( 0, 0 );
  }

  //! Archive the error of the step that ends at the next time.
  void
  archive( const double x )
  {
    ++now_;
    ring_[ now_ & mask_ ] = sums_at_( now_ + present_.offset, x );
  }

  //! The neuron was reset now.
  void
  reset()
  {
    const long k = now_ + present_.offset;
    const long k_keep = index_( now_ - static_cast< long >( ring_.size() ) );
    sums1_.finish( tables_->sum1, k );
    sums2_.finish( tables_->sum2, k );
    // a multiple of every epoch's length, and so far away that all powers are 0
    const int shift = std::max( tables_->sum1.shift, tables_->sum2.restarts ? tables_->sum2.shift : 0 );
    const long silence = std::max( tables_->a.reach(), tables_->b.reach() );
    const long k_new = ( ( ( k + silence ) >> shift ) + 1 ) << shift;

    const long oldest = now_ - static_cast< long >( ring_.size() );
    std::erase_if(
      segments_, [ & ]( const Segment& s ) { return &s != &segments_.back() and ( &s + 1 )->start < oldest; } );
    present_ = { now_, k_new + static_cast< long >( ring_.size() ) - now_ };
    segments_.push_back( present_ );
    begin_segment_( k_new, k_keep );
  }

  //! Position of a spike at time n whose connection has a delay of D steps.
  Position
  position( const long n, const long D ) const
  {
    const long t = n - D;
    if ( t > present_.start )
    {
      return { t + present_.offset, ring_[ t & mask_ ] };
    }
    auto segment = segments_.crbegin();
    while ( n <= segment->start and segment + 1 != segments_.crend() )
    {
      ++segment;
    }
    return { t + segment->offset, t > segment->start ? ring_[ t & mask_ ] : Sums() };
  }

  //! Time of the last archived error (steps).
  long
  now() const
  {
    return now_;
  }

  const ArchiveTables&
  tables() const
  {
    return *tables_;
  }

  //! F1 between two positions, a_power = a^( k1 - k0 )
  double
  F1( const Position& p0, const Position& p1, const double a_power ) const
  {
    const GeometricSum& g = tables_->sum1;
    if ( ( ( p0.index ^ p1.index ) >> g.shift ) == 0 )
    {
      return a_power * p1.sums.z1 - p0.sums.z1;
    }
    return sums1_.tail( g, p0.index, p0.sums.z1 ) - a_power * sums1_.tail( g, p1.index, p1.sums.z1 );
  }

  //! F2 between two positions, with the powers of a and b for k1 - k0; 0 if there is no filter
  double
  F2( const Position& p0, const Position& p1, const double a_power, const double b_power ) const
  {
    const GeometricSum& g = tables_->sum2;
    if ( not tables_->filtered )
    {
      return 0.0;
    }
    if ( not g.restarts or ( ( p0.index ^ p1.index ) >> g.shift ) == 0 )
    {
      return a_power * p1.sums.z2 - b_power * p0.sums.z2;
    }
    return b_power * sums2_.tail( g, p0.index, p0.sums.z2 ) - a_power * sums2_.tail( g, p1.index, p1.sums.z2 );
  }

  //! A synapse has its last spike at k now.
  void
  add_reader( const long k )
  {
    sums1_.add_reader( tables_->sum1, k );
    sums2_.add_reader( tables_->sum2, k );
  }

  //! A synapse that had its last spike at k0 has it at k1 now.
  void
  move_reader( const long k0, const long k1 )
  {
    sums1_.move_reader( tables_->sum1, k0, k1 );
    sums2_.move_reader( tables_->sum2, k0, k1 );
  }

  //! Memory held (bytes).
  size_t
  bytes() const
  {
    return ring_.size() * sizeof( Sums ) + segments_.size() * sizeof( Segment ) + sums1_.bytes() + sums2_.bytes();
  }

private:
  //! Times between two resets.
  struct Segment
  {
    long start;   //!< time of the reset; errors of later times belong to the segment (steps)
    long offset;  //!< index minus time
  };

  long
  index_( const long t ) const
  {
    auto segment = segments_.crbegin();
    while ( t <= segment->start and segment + 1 != segments_.crend() )
    {
      ++segment;
    }
    return t + segment->offset;
  }

  Sums
  sums_at_( const long k, const double x )
  {
    const long k_keep = k - static_cast< long >( ring_.size() );
    return { sums1_.archive( tables_->sum1, k, x, k_keep ), sums2_.archive( tables_->sum2, k, x, k_keep ) };
  }

  //! Silence as long as the ring leads into a segment, so that spikes with n - D before the reset have an index of their own.
  void
  begin_segment_( const long k, const long k_keep )
  {
    sums1_.start( tables_->sum1, k, k_keep );
    sums2_.start( tables_->sum2, k, k_keep );
    const long lead_in = now_ + present_.offset;
    for ( long i = k + 1; i <= lead_in; ++i )
    {
      sums_at_( i, 0.0 );
    }
  }

  std::vector< Sums > ring_;                       //!< sums of the last steps, by time; its size is a power of 2
  size_t mask_ = 0;                                //!< that size less 1
  Segment present_{};                              //!< since the last reset
  std::vector< Segment > segments_;                //!< as far back as the ring, present_ the last
  std::shared_ptr< const ArchiveTables > tables_;  //!< constants; none before the first Simulate
  long now_ = 0;                                   //!< time of the last archived error (steps)
  TailSums sums1_;                                 //!< of F1
  TailSums sums2_;                                 //!< of F2
};

}  // namespace nest

#endif
