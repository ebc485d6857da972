/*
 *  tail_sums.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_TAIL_SUMS_H
#define PYRAMIDAL_TAIL_SUMS_H

#include <algorithm>
#include <bit>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "power_table.h"

namespace nest
{

/**
 * Running sum Z(k) = c Z(k-1) + x(k) over the archived errors, and for every epoch e of L steps the tail sum
 *
 *     C_e = sum over closed epochs e' >= e of c^-( e' - e ) L T_e',   T = c^-L Z( end of epoch )
 *
 * from which S(k) = c^( k - eL ) C_e - Z(k) follows for any k of the past (docs/theory, "O(1) evaluation").
 *
 * Only the last epochs can still change. They, and some more, lie in a ring. An older epoch is kept, in a map, as long as the last
 * presynaptic spike of some synapse (a reader) lies in it. So there are never more than a fixed number of epochs plus one per silent
 * synapse.
 */
class TailSums
{
public:
  /**
   * Begin at index k with Z = 0; epochs that hold indices >= k_keep of what was archived before remain readable.
   *
   * The more readers there may be, the more epochs stay in the ring, where they are found sooner than in the map.
   */
  void
  start( const GeometricSum& g, const long k, const long k_keep, const size_t max_readers )
  {
    z_ = 0.0;
    if ( not g.restarts )
    {
      return;
    }
    for ( long e = first_; e <= open_; ++e )
    {
      keep_( g, e, k_keep );
    }
    late_ = k_keep >> g.shift;
    first_ = open_ = begin_ = k >> g.shift;
    const size_t size = std::bit_ceil( std::clamp( max_readers / 4, min_epochs_, max_epochs_ ) );
    ring_.resize( std::max( ring_.size(), size ) );
    ring_at_( open_ ) = Epoch();
    std::erase_if( old_, [ this ]( const auto& item ) { return unwanted_( item.first, item.second ); } );
  }

  //! Close the open epoch before its end, at index k: nothing that comes later reaches back to it.
  void
  finish( const GeometricSum& g, const long k )
  {
    if ( g.restarts )
    {
      close_( g, z_ / g.power( k & ( g.length - 1 ) ) );
    }
  }

  //! Archive x at index k; returns Z(k). k_keep: oldest index that a new spike may still need.
  double
  archive( const GeometricSum& g, const long k, const double x, const long k_keep )
  {
    z_ = g.c * z_ + x;
    if ( g.restarts and ( k & ( g.length - 1 ) ) == 0 )
    {
      close_( g, g.inverse_of_epoch * z_ );
      z_ = 0.0;
      open_next_( g, k_keep );
    }
    return z_;
  }

  //! Have the processor fetch the epoch of k, if it lies in the ring.
  void
  prefetch( const GeometricSum& g, const long k ) const
  {
    __builtin_prefetch( ring_.data() + ( ( k >> g.shift ) & ( ring_.size() - 1 ) ), 1 );
  }

  //! What the closed epochs add to S(k) = c^( k - eL ) C_e - Z(k); 0 in the open epoch.
  double
  tail( const GeometricSum& g, const long k ) const
  {
    const long e = k >> g.shift;
    return e == open_ ? 0.0 : g.power( k & ( g.length - 1 ) ) * at_( e ).tail;
  }

  //! A synapse has its last spike at k now; returns the tail there.
  double
  enter( const GeometricSum& g, const long k )
  {
    const long e = k >> g.shift;
    Epoch& epoch = e >= first_ ? ring_at_( e ) : old_at_( e );
    ++epoch.readers;
    return e == open_ ? 0.0 : g.power( k & ( g.length - 1 ) ) * epoch.tail;
  }

  //! A synapse that had its last spike at k leaves; returns the tail there.
  double
  leave( const GeometricSum& g, const long k )
  {
    const long e = k >> g.shift;
    if ( e < first_ )
    {
      return leave_old_( g, k );
    }
    Epoch& epoch = ring_at_( e );
    --epoch.readers;
    return g.power( k & ( g.length - 1 ) ) * epoch.tail;
  }

  //! Memory held (bytes).
  size_t
  bytes() const
  {
    return ring_.size() * sizeof( Epoch ) + old_.size() * ( sizeof( std::pair< long, Epoch > ) + 2 * sizeof( void* ) );
  }

private:
  struct Epoch
  {
    double tail = 0.0;     //!< C_e; 0 while the epoch is open
    uint32_t readers = 0;  //!< synapses whose last presynaptic spike lies in this epoch
  };

  //! leave() an epoch that is not in the ring
  [[gnu::noinline]] double
  leave_old_( const GeometricSum& g, const long k )
  {
    const auto item = old_.find( k >> g.shift );
    const double tail = item->second.tail;
    if ( --item->second.readers; unwanted_( item->first, item->second ) )
    {
      old_.erase( item );
    }
    return g.power( k & ( g.length - 1 ) ) * tail;
  }

  //! An epoch that is not in the ring; apart, since few spikes need it.
  [[gnu::noinline]] Epoch&
  old_at_( const long e )
  {
    return old_[ e ];
  }

  Epoch&
  ring_at_( const long e )
  {
    return ring_[ e & ( ring_.size() - 1 ) ];
  }

  const Epoch&
  at_( const long e ) const
  {
    return e >= first_ ? ring_[ e & ( ring_.size() - 1 ) ] : old_.at( e );
  }

  void
  close_( const GeometricSum& g, double tail )
  {
    if ( tail == 0.0 )
    {
      return;
    }
    for ( long e = open_, last = std::max( first_, open_ - g.window ); e >= last; --e )
    {
      ring_at_( e ).tail += tail;
      tail *= g.inverse_of_epoch;
    }
  }

  void
  open_next_( const GeometricSum& g, const long k_keep )
  {
    ++open_;
    const long room = static_cast< long >( ring_.size() ) - 1;
    const long e_keep = std::min( k_keep >> g.shift, open_ - std::max( g.window, room ) );
    for ( ; first_ < e_keep; ++first_ )
    {
      keep_( g, first_, k_keep );
    }
    if ( static_cast< size_t >( open_ - first_ ) >= ring_.size() )
    {
      std::vector< Epoch > larger( 2 * ring_.size() );
      for ( long e = first_; e < open_; ++e )
      {
        larger[ e & ( larger.size() - 1 ) ] = ring_at_( e );
      }
      ring_.swap( larger );
    }
    ring_at_( open_ ) = Epoch();
  }

  //! Move epoch e from the ring to the map if it is still wanted.
  void
  keep_( const GeometricSum& g, const long e, const long k_keep )
  {
    if ( not ring_.empty() and ( ring_at_( e ).readers > 0 or e >= ( k_keep >> g.shift ) ) )
    {
      old_[ e ] = ring_at_( e );
    }
  }

  //! Whether nobody reads epoch e, nor can a spike that is still on its way come to read it.
  bool
  unwanted_( const long e, const Epoch& epoch ) const
  {
    return epoch.readers == 0 and not( late_ <= e and e < begin_ );
  }

  static constexpr size_t min_epochs_ = 4;
  static constexpr size_t max_epochs_ = 1024;

  long first_ = 0;                         //!< oldest epoch in the ring
  long open_ = -1;                         //!< the epoch that is being filled
  std::vector< Epoch > ring_;              //!< epochs first_ to open_; its size is a power of 2
  double z_ = 0.0;                         //!< Z at the last archived step
  long late_ = 0;                          //!< oldest epoch before the last start that a spike on its way may need
  long begin_ = 0;                         //!< first epoch after the last start
  std::unordered_map< long, Epoch > old_;  //!< older epochs that some synapse has to come back to
};

}  // namespace nest

#endif
