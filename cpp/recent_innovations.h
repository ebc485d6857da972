/*
 *  recent_innovations.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_RECENT_INNOVATIONS_H
#define PYRAMIDAL_RECENT_INNOVATIONS_H

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace nest
{

/**
 * Filtered innovation of one cell and its expected rate over the last steps, for alignment synapses.
 *
 * The innovation is what a cell has sent beyond what was expected of it: spikes per ms less their intensity. It is low-pass filtered,
 * less, if there is a baseline, what a slower filter makes of it.
 */
class RecentInnovations
{
public:
  //! Of one step.
  struct Entry
  {
    double filtered = 0.0;  //!< X (1/ms)
    double rate = 0.0;      //!< R, expected (1/ms)
    long last_reset = 0;    //!< time of the last reset before the step (steps)
  };

  //! One more synapse reads; the time constants (ms) are those of all.
  void
  add_reader( const double tau, const double tau_baseline )
  {
    if ( readers_++ == 0 )
    {
      tau_ = tau;
      tau_baseline_ = tau_baseline;
      reset();
      entries_.assign( 1, {} );
    }
  }

  void
  remove_reader()
  {
    --readers_;
  }

  bool
  wanted() const
  {
    return readers_ > 0;
  }

  //! Time constant of the filter (ms).
  double
  tau() const
  {
    return tau_;
  }

  //! Time constant of the baseline (ms); 0: there is none.
  double
  tau_baseline() const
  {
    return tau_baseline_;
  }

  //! Keep this number of steps of h ms, if somebody reads; what was kept so far is lost if that is more than before.
  void
  make_room( const size_t reach, const double h )
  {
    keep_ = std::exp( -h / tau_ );
    keep_baseline_ = tau_baseline_ > 0.0 ? std::exp( -h / tau_baseline_ ) : 1.0;
    if ( wanted() and entries_.size() < reach )
    {
      entries_.assign( std::bit_ceil( reach ), {} );
    }
  }

  /**
   * Filter the innovation of the step that ends at time t (steps), and keep it with the expected rate (1/ms).
   *
   * Where nothing is learned, both count as 0 for the synapses, and the filter goes on.
   */
  void
  archive( const long t, const double innovation, const double rate, const bool learns, const long last_reset )
  {
    filtered_ = keep_ * filtered_ + ( 1.0 - keep_ ) * innovation;
    baseline_ = keep_baseline_ * baseline_ + ( 1.0 - keep_baseline_ ) * innovation;
    entries_[ t & mask_() ] = learns ? Entry{ filtered_ - baseline_, rate, last_reset } : Entry{ 0.0, 0.0, last_reset };
  }

  //! The cell has returned to rest.
  void
  reset()
  {
    filtered_ = baseline_ = 0.0;
  }

  //! Forget all: the time was set back.
  void
  begin_anew()
  {
    reset();
    std::fill( entries_.begin(), entries_.end(), Entry() );
  }

  //! What a presynaptic spike at time n meets over a dendritic delay of D steps; nothing from the other side of a reset.
  Entry
  seen( const long n, const long D ) const
  {
    return n - D > entries_[ n & mask_() ].last_reset ? entries_[ ( n - D ) & mask_() ] : Entry();
  }

private:
  long
  mask_() const
  {
    return static_cast< long >( entries_.size() ) - 1;
  }

  size_t readers_ = 0;            //!< synapses
  double tau_ = 0.0;              //!< of the filter; 0: none (ms)
  double tau_baseline_ = 0.0;     //!< of the slower filter; 0: none (ms)
  double keep_ = 0.0;             //!< exp( -h / tau )
  double keep_baseline_ = 1.0;    //!< exp( -h / tau_baseline ), 1 if there is no baseline
  double filtered_ = 0.0;         //!< low-pass filtered innovation of the last step (1/ms)
  double baseline_ = 0.0;         //!< that of the slower filter (1/ms)
  std::vector< Entry > entries_;  //!< by time, a power of 2; empty as long as nobody reads
};

}  // namespace nest

#endif
