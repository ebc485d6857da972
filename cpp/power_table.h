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
 * exp( -decay * j ) for any number of steps j >= 0, as a product of entries of small tables: two for most decays, four for slow
 * ones.
 *
 * The relative error is below 1e-14, that of the exponents. Beyond 45 e-foldings (3e-20, less than the last digit of a double) the result
 * is exactly 0, so that whatever lies further apart than reach() has nothing to do with each other.
 */
class PowerTable
{
public:
  //! Decay per step: h / tau; infinity for tau = 0.
  explicit PowerTable( const double decay )
    : coarse_( powers_( decay, fine_bits_, coarse_bits_ ) )
    , far_( powers_( decay, fine_bits_ + coarse_bits_, far_bits_ ) )
    , farthest_( powers_( decay, fine_bits_ + coarse_bits_ + far_bits_, far_bits_ ) )
  {
    for ( size_t j = 0; j < fine_.size(); ++j )
    {
      fine_[ j ] = j == 0 ? 1.0 : std::exp( -decay * j );
    }
    const double tabled = std::ldexp( farthest_.size(), fine_bits_ + coarse_bits_ + far_bits_ );
    const long coarse_steps = static_cast< long >( coarse_.size() ) << fine_bits_;
    reach_ = std::max( coarse_steps, static_cast< long >( std::min( max_efoldings_ / decay, tabled ) ) );
  }

  //! For any number of steps if is_near(), else for less than 2^20.
  double
  operator()( const long j ) const
  {
    const size_t i = static_cast< size_t >( j ) >> fine_bits_;
    if ( i == 0 )
    {
      return fine_[ j ];
    }
    return i < coarse_.size() ? coarse_[ i ] * fine_[ j & mask_( fine_bits_ ) ] : 0.0;
  }

  //! For any number of steps.
  double
  far( const long j ) const
  {
    if ( is_near() or j < 1L << ( fine_bits_ + coarse_bits_ ) )
    {
      return ( *this )( j );
    }
    if ( j >= reach_ )
    {
      return 0.0;
    }
    const size_t i = static_cast< size_t >( j ) >> fine_bits_;
    const size_t k = i >> coarse_bits_;
    return farthest_[ k >> far_bits_ ] * far_[ k & mask_( far_bits_ ) ] * coarse_[ i & mask_( coarse_bits_ ) ]
      * fine_[ j & mask_( fine_bits_ ) ];
  }

  //! Whether two tables are enough for any number of steps.
  bool
  is_near() const
  {
    return far_.size() == 1;
  }

  //! Number of steps from which on the power is exactly 0.
  long
  reach() const
  {
    return reach_;
  }

private:
  //! exp( -decay j 2^shift ) for all j < 2^bits that are not beyond the last e-folding, and j = 0.
  static std::vector< double >
  powers_( const double decay, const int shift, const int bits )
  {
    std::vector< double > powers = { 1.0 };
    for ( size_t j = 1; j <= mask_( bits ); ++j )
    {
      const double exponent = decay * std::ldexp( j, shift );
      if ( not( exponent < max_efoldings_ ) )
      {
        break;
      }
      powers.push_back( std::exp( -exponent ) );
    }
    return powers;
  }

  static constexpr size_t
  mask_( const int bits )
  {
    return ( size_t( 1 ) << bits ) - 1;
  }

  static constexpr double max_efoldings_ = 45.0;
  static constexpr int fine_bits_ = 8;
  static constexpr int coarse_bits_ = 12;
  static constexpr int far_bits_ = 13;          // in all 2^46 steps, 200 years at h = 0.1 ms
  std::array< double, 1 << fine_bits_ > fine_;  //!< exp( -decay j )
  std::vector< double > coarse_;                //!< exp( -decay j 2^8 )
  std::vector< double > far_;                   //!< exp( -decay j 2^20 )
  std::vector< double > farthest_;              //!< exp( -decay j 2^33 )
  long reach_;                                  //!< steps
};

/**
 * Constants of the running sum Z(k) = c Z(k-1) + x(k), c = exp( log_c ).
 *
 * It starts anew from 0 every L = 2^shift steps, so that no digits are lost: the largest L with c^L <= e^2 that is not more than twice
 * the distance beyond which nobody compares two sums (reach, in steps). It need not if c < 1 by so much that it forgets within that distance.
 * If c = 1, the default, it does not either: that costs some 5 % of a spike, and rounding is 1e-16 for each step since the last reset.
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
    restarts = log_c > 0.0 or ( spans_reach and log_c < 0.0 );
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

  //! Whether these indices lie in different epochs.
  bool
  separates( const long k0, const long k1 ) const
  {
    return restarts and ( k0 ^ k1 ) >> shift != 0;
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
