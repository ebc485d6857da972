/*
 *  power_table.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_POWER_TABLE_H
#define PYRAMIDAL_POWER_TABLE_H

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

namespace nest
{

/**
 * exp( -decay * j ) for any number of steps j >= 0, from two small tables; beyond them, for slow decays, from exp itself.
 *
 * The relative error is that of the exponent, some 1e-14 at its largest. Beyond 45 e-foldings (3e-20, less than the last digit of a double)
 * the result is exactly 0, so that whatever lies further apart than reach() has nothing to do with each other.
 */
class PowerTable
{
public:
  //! Decay per step: h / tau; infinity for tau = 0.
  explicit PowerTable( const double decay )
    : decay_( decay )
  {
    for ( size_t j = 0; j < fine_.size(); ++j )
    {
      fine_[ j ] = j == 0 ? 1.0 : std::exp( -decay * j );
    }
    for ( size_t j = 0; j == 0 or ( j * decay < max_efoldings_ and coarse_.size() < max_coarse_ ); j += fine_.size() )
    {
      coarse_.push_back( j == 0 ? 1.0 : std::exp( -decay * j ) );
    }
    const long tabled = static_cast< long >( coarse_.size() ) << bits_;
    const double steps = std::min( max_efoldings_ / decay, static_cast< double >( max_reach_ ) );
    reach_ = std::max( tabled, static_cast< long >( steps ) );
  }

  double
  operator()( const long j ) const
  {
    const size_t i = static_cast< size_t >( j ) >> bits_;
    if ( i == 0 )
    {
      return fine_[ j ];
    }
    if ( i < coarse_.size() )
    {
      return coarse_[ i ] * fine_[ j & ( fine_.size() - 1 ) ];
    }
    return j < reach_ ? std::exp( -decay_ * static_cast< double >( j ) ) : 0.0;
  }

  //! Number of steps from which on the power is exactly 0.
  long
  reach() const
  {
    return reach_;
  }

private:
  static constexpr int bits_ = 8;
  static constexpr double max_efoldings_ = 45.0;
  static constexpr size_t max_coarse_ = 4096;   // 32 kB, for powers of up to 2^20 steps
  static constexpr long max_reach_ = 1L << 46;  // 200 years at h = 0.1 ms
  double decay_;                                //!< per step
  long reach_;                                  //!< steps
  std::array< double, 1 << bits_ > fine_;       //!< exp( -decay j ), 0 <= j < 256
  std::vector< double > coarse_;                //!< exp( -decay 256 j )
};

/**
 * Constants of the running sum Z(k) = c Z(k-1) + x(k), c = exp( log_c ).
 *
 * It starts anew from 0 every L = 2^shift steps, so that no digits are lost: the largest L with c^L <= e^2 that is not more than twice
 * the distance beyond which nobody compares two sums (reach, in steps). It need not if c < 1 by so much that it forgets within that distance.
 */
struct GeometricSum
{
  GeometricSum( const double log_c, const long reach )
    : c( std::exp( log_c ) )
    , log_c( log_c )
  {
    int s = 0;
    while ( s < max_shift and std::abs( log_c ) * static_cast< double >( 2L << s ) <= 2.0 and ( 1L << s ) < reach )
    {
      ++s;
    }
    const bool spans_reach = ( 1L << s ) >= reach;  // then an epoch has to do with the next one only
    restarts = log_c > 0.0 or spans_reach;
    if ( not restarts )
    {
      return;
    }
    shift = s;
    length = 1L << shift;
    inverse_of_epoch = std::exp( -log_c * length );
    const double epochs = spans_reach ? 0.0 : 45.0 / ( log_c * length );
    window = 1 + static_cast< long >( std::min( epochs, static_cast< double >( 1L << max_shift ) ) );
    if ( shift <= max_shift_of_table )
    {
      powers.resize( length );
      for ( long j = 0; j < length; ++j )
      {
        powers[ j ] = std::exp( log_c * j );
      }
    }
  }

  //! c^j for 0 <= j < length
  double
  power( const long j ) const
  {
    return powers.empty() ? std::exp( log_c * j ) : powers[ j ];
  }

  static constexpr int max_shift = 30;  // 2^30 steps are 30 h at h = 0.1 ms
  static constexpr int max_shift_of_table =
    12;                           // 32 kB; a larger L means long time constants, or that tau_s nearly equals tau_Delta
  double c;                       //!< factor per step
  double log_c;                   //!< its logarithm
  bool restarts = false;          //!< whether the sum starts anew every length steps
  int shift = max_shift;          //!< binary logarithm of length
  long length = 1L << max_shift;  //!< L, steps per epoch
  double inverse_of_epoch = 0.0;  //!< c^-L
  long window = 0;                //!< epochs after which an error no longer changes an earlier tail sum
  std::vector< double > powers;   //!< c^j
};

//! All that the archives with the same h, tau_s and tau_Delta (ms) share. Spikes are less than reach steps old when they are delivered.
struct ArchiveTables
{
  ArchiveTables( const double h, const double tau_s, const double tau_Delta, const long reach )
    : h( h )
    , equal( tau_s == tau_Delta )
    , filtered( tau_Delta > 0.0 )
    , a( decay_of_trace( h, tau_s ) )
    , b( filtered ? h / tau_Delta : std::numeric_limits< double >::infinity() )
    , sum1( decay_of_trace( h, tau_s ), a.reach() + reach )
    , sum2( filtered ? decay_of_trace( h, tau_s ) - h / tau_Delta : -std::numeric_limits< double >::infinity(),
        a.reach() + reach )
  {
  }

  //! h / tau_s; for a trace that is gone after a step by any measure, still so small that its inverse is a finite number
  static double
  decay_of_trace( const double h, const double tau_s )
  {
    return std::min( h / tau_s, 500.0 );
  }

  //! The tables for these constants, made once for all neurons and threads.
  static std::shared_ptr< const ArchiveTables >
  get( const double h, const double tau_s, const double tau_Delta, const long reach )
  {
    static std::mutex mutex;
    static std::map< std::tuple< double, double, double, long >, std::weak_ptr< const ArchiveTables > > cache;
    const std::lock_guard< std::mutex > lock( mutex );
    auto& entry = cache[ { h, tau_s, tau_Delta, reach } ];
    auto tables = entry.lock();
    if ( not tables )
    {
      tables = std::make_shared< const ArchiveTables >( h, tau_s, tau_Delta, reach );
      entry = tables;
    }
    return tables;
  }

  double h;           //!< resolution (ms)
  bool equal;         //!< whether a = b
  bool filtered;      //!< false if tau_Delta = 0: the weight follows without delay
  PowerTable a;       //!< a^j = exp( -j h / tau_s )
  PowerTable b;       //!< b^j = exp( -j h / tau_Delta )
  GeometricSum sum1;  //!< c = 1/a
  GeometricSum sum2;  //!< c = b/a
};

}  // namespace nest

#endif
